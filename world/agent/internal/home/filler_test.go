package home

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fill fills a new directory and describes every named entry: type, mode, size, links, time, content.
func fill(t *testing.T, root, profile string, seed uint64) []string {
	t.Helper()
	filler := NewFiller(root, seed)
	profiles[profile](filler, options{files: 120, bytes: 300_000})
	if _, err := filler.Finish(); err != nil {
		t.Fatal(err)
	}
	return describe(t, root)
}

func describe(t *testing.T, root string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var stat unix.Stat_t
		if err := unix.Lstat(path, &stat); err != nil {
			return err
		}
		relative, _ := filepath.Rel(root, path)
		line := fmt.Sprintf("%q %o %d", relative, stat.Mode, stat.Nlink)
		if entry.Type().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d.%09d %x", stat.Mtim.Sec, stat.Mtim.Nsec, sha256.Sum256(content))
		}
		if entry.Type() == fs.ModeSymlink {
			target, _ := os.Readlink(path)
			line += fmt.Sprintf(" -> %q", target)
		}
		found = append(found, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTheSameSeedGivesTheSameHome(t *testing.T) {
	for _, profile := range []string{"realistic", "small-files", "random", "text"} {
		t.Run(profile, func(t *testing.T) {
			again := t.TempDir()
			first, second, other := fill(t, t.TempDir(), profile, 7), fill(t, again, profile, 7), fill(t, t.TempDir(), profile, 8)
			if !slices.Equal(first, second) {
				t.Error("two homes of one seed differ")
			}
			if !slices.Equal(first, fill(t, again, profile, 7)) {
				t.Error("filling a home again changed it")
			}
			if slices.Equal(first, other) {
				t.Error("the seed has no effect")
			}
		})
	}
}

func TestTheRealisticHomeHasWhatBackupsTripOver(t *testing.T) {
	root := t.TempDir()
	lines := strings.Join(fill(t, root, "realistic", 1), "\n")
	for _, want := range []string{
		`".config/gh/hosts.yml" 100600`, `".kiro/agents/default.json"`, `new\nline.txt`, `back\\slash.txt`, `names/-rf"`,
		`\xe9`, `<script>`, `"odd/modes/read-only directory" 40555`, `"odd/modes/setgid" 42775`, `"odd/modes/sticky" 41777`,
		`"odd/links/dangling" 120777 1 -> "nowhere/to/be found"`, `"odd/links/absolute" 120777 1 -> "/etc/passwd"`, `"odd/links/original" 100640 3`,
		strings.Repeat("n", 251) + ".txt",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %s", want)
		}
	}
	var sparse unix.Stat_t
	if err := unix.Stat(filepath.Join(root, "odd/sizes/sparse"), &sparse); err != nil || sparse.Blocks*512 >= sparse.Size/10 {
		t.Error("the sparse file is not", sparse.Blocks, err)
	}
	old, err := os.Stat(filepath.Join(root, "odd/times/1985-10-26T01:21:00.123456789Z"))
	if err != nil || !old.ModTime().Equal(time.Date(1985, 10, 26, 1, 21, 0, 123456789, time.UTC)) {
		t.Error("its nanoseconds are gone", err)
	}
}
