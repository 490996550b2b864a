// Package release reads which version the image plays; only this file differs between the images.
package release

import (
	"fmt"

	"github.com/BurntSushi/toml"
)

// Path of the file that the image's last layer holds.
const Path = "/etc/openab-release.toml"

// Release is what makes one version differ from another.
type Release struct {
	Version string   `toml:"version"`
	Flavour string   `toml:"flavour"` // which agent command the image is for: kiro, claude, ...
	Schema  int      `toml:"schema"`  // version of the database's layout that this version writes
	Fault   string   `toml:"fault"`   // name of its misbehaviour; empty for a good version
	After   int      `toml:"after"`   // seconds until the fault shows, where it shows later
	Notices []string `toml:"notices"` // lines that harmless tools print at the start
}

// Load reads the release file at path.
func Load(path string) (Release, error) {
	r := Release{Schema: 1}
	if _, err := toml.DecodeFile(path, &r); err != nil {
		return r, fmt.Errorf("release file: %w", err)
	}
	return r, nil
}
