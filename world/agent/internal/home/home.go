// Package home fills an agent's home with what real homes hold, and with what backups trip over.
// The same profile and seed always give the same names, contents, modes and times.
package home

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

type options struct {
	home, profile string
	seed          uint64
	files         int
	bytes         int64
}

var profiles = map[string]func(*Filler, options){
	"realistic": func(f *Filler, _ options) {
		agentFiles(f)
		workspace(f)
		oddities(f.Below("odd"))
	},
	"small-files": func(f *Filler, o options) { smallFiles(f.Below("small"), o.files) },
	"random":      func(f *Filler, o options) { f.Random("random.bin", o.bytes, 0o644) },
	"text":        func(f *Filler, o options) { mixedText(f.Below("text"), o.bytes) },
	"unreadable":  func(f *Filler, _ options) { unreadable(f.Below("unreadable")) },
}

// Main fills the home as the arguments say and returns the exit status of the process.
func Main(arguments []string) int {
	names := make([]string, 0, len(profiles))
	for name := range profiles {
		names = append(names, name)
	}
	slices.Sort(names)

	var o options
	flags := flag.NewFlagSet("standin-home", flag.ContinueOnError)
	flags.StringVar(&o.home, "home", os.Getenv("HOME"), "directory to fill")
	flags.StringVar(&o.profile, "profile", "realistic", strings.Join(names, ", "))
	flags.Uint64Var(&o.seed, "seed", 1, "chooses contents and times")
	flags.IntVar(&o.files, "files", 1000, "number of files (small-files)")
	flags.Int64Var(&o.bytes, "bytes", 200_000_000, "number of bytes (random, text)")
	if err := flags.Parse(arguments); err != nil {
		return 2
	}
	fill, known := profiles[o.profile]
	if !known {
		fmt.Fprintf(os.Stderr, "unknown profile %q: choose one of %s\n", o.profile, strings.Join(names, ", "))
		return 2
	}
	filler := NewFiller(o.home, o.seed)
	fill(filler, o)
	summary, err := filler.Finish()
	if err != nil {
		fmt.Fprintf(os.Stderr, "cannot fill %s: %v\n", o.home, err)
		return 1
	}
	_ = json.NewEncoder(os.Stdout).Encode(summary)
	return 0
}
