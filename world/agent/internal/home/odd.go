package home

import (
	"strings"
	"time"
)

// oddNames are legal on Linux, and each has broken some tool.
var oddNames = []string{
	"with space.txt",
	" leading and trailing ",
	"Ünïcødé-日本語-🙂.txt",
	"\u00e9.txt", "e\u0301.txt", // the same letter composed and decomposed: two files
	"latin1-\xe9.txt", // not UTF-8
	"new\nline.txt",
	"back\\slash.txt",
	"back\\nslash-n.txt",
	"tab\there.txt",
	"bell\a and \x1b[31mred\x1b[0m.txt",
	"-rf", "--help", "--checkpoint-action=exec=sh",
	"quotes '\"`.txt", "$(id).txt", "${HOME}", "; true",
	"<script>alert(1)<script>.html", "&amp;.txt",
	"star*?.txt", "[brackets]", "percent%2e%2e%n", "#hash#", "~", "...", "=1+1", "a:b",
	strings.Repeat("n", 251) + ".txt",
	strings.Repeat("é", 127) + "x",
}

// oddities are what backups trip over: names, links, holes, modes, times, attributes.
func oddities(f *Filler) {
	names := f.Dir("names", 0o755)
	for _, name := range oddNames {
		names.File(name, "named "+strings.ToValidUTF8(name, "?")+"\n", 0o644)
	}
	names.File("dir\nwith -- newline/inside.txt", "inside\n", 0o644)
	deep := f.Below(strings.Repeat("a-directory-with-a-name-of-forty-letters/", 30) + "bottom")
	deep.File("deep.txt", "deep\n", 0o644)

	links := f.Dir("links", 0o755)
	links.File("original", "three names, one file\n", 0o640)
	links.Hardlink("second name", "original")
	links.Hardlink("../names/third-name", "original")
	links.Symlink("relative", "original")
	links.Symlink("to directory", "../names")
	links.Symlink("dangling", "nowhere/to/be found")
	links.Symlink("absolute", "/etc/passwd")
	links.Symlink("escaping", "../../../../../etc/hostname")
	links.Symlink("loop-a", "loop-b")
	links.Symlink("loop-b", "loop-a")
	links.Symlink("newline-target", "two\nlines")
	links.Symlink("-dash", "-rf")

	sizes := f.Dir("sizes", 0o755)
	sizes.File("empty", "", 0o644)
	sizes.Dir("empty directory", 0o700)
	sizes.Sparse("sparse", 64<<20)
	sizes.Random("one-block", 512, 0o644)
	sizes.Random("block-and-a-byte", 513, 0o644)

	modes := f.Dir("modes", 0o755)
	modes.File("private", "0600\n", 0o600)
	modes.File("read-only", "0400\n", 0o400)
	modes.File("executable", "#!/bin/sh\n", 0o755)
	modes.File("everybody", "0666\n", 0o666)
	closed := modes.Dir("read-only directory", 0o555)
	closed.File("content.txt", "cannot be replaced\n", 0o444)
	closed.Dir("nested", 0o555).File("deeper.txt", "neither\n", 0o444)
	modes.Dir("setgid", 0o2775).File("member", "g+s\n", 0o664)
	modes.Dir("sticky", 0o1777).File("note", "t\n", 0o644)

	times := f.Dir("times", 0o755)
	for _, at := range []time.Time{
		time.Unix(0, 1).UTC(),
		time.Date(1985, 10, 26, 1, 21, 0, 123456789, time.UTC),
		time.Date(2024, 2, 29, 23, 59, 59, 1, time.UTC),
		time.Date(2100, 1, 1, 0, 0, 0, 999999999, time.UTC),
	} {
		name := at.Format(time.RFC3339Nano)
		times.File(name, "touched\n", 0o644)
		times.Touch(name, at)
	}

	attributes := f.Dir("attributes", 0o755)
	attributes.File("tagged", "has an attribute\n", 0o644)
	attributes.Xattr("tagged", "user.comment", "kept by hand")
}

// unreadable is what a process of the agent's own user cannot read.
func unreadable(f *Filler) {
	f.File("secret.bin", "nobody\n", 0)
	f.Dir("closed", 0).File("inside", "nobody\n", 0o644)
}
