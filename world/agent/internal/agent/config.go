package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// Config is the part of config.toml that the stand-in heeds.
type Config struct {
	Discord *Adapter `toml:"discord"`
	Slack   *Adapter `toml:"slack"`
	Gateway *struct {
		URL string `toml:"url"`
	} `toml:"gateway"`
	Telegram *struct{} `toml:"telegram"` // is called by webhooks, and connects nowhere
	Agent    struct {
		Command string `toml:"command"`
	} `toml:"agent"`
	Pool struct {
		MaxSessions int `toml:"max_sessions"`
	} `toml:"pool"`
	Cron *struct {
		UsercronEnabled bool   `toml:"usercron_enabled"`
		UsercronPath    string `toml:"usercron_path"`
		Jobs            []struct {
			Schedule string `toml:"schedule"`
		} `toml:"jobs"`
	} `toml:"cron"`

	understood string // all of it, in one line: what a test compares of two versions
}

// Adapter is a chat platform that the agent answers on.
type Adapter struct {
	BotToken        string   `toml:"bot_token"`
	AllowedChannels []string `toml:"allowed_channels"`
}

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

// loadConfig reads path, puts the environment in for ${NAME} (an unset one is empty) and refuses what cannot work.
func loadConfig(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	expanded := variable.ReplaceAllStringFunc(string(raw), func(match string) string {
		return os.Getenv(variable.FindStringSubmatch(match)[1])
	})
	config := &Config{}
	if _, err := toml.Decode(expanded, config); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) { // its own text would quote the line, perhaps with a token in it
			return nil, fmt.Errorf("%s line %d: not valid TOML", path, syntax.Position.Line)
		}
		return nil, fmt.Errorf("%s: a value is of the wrong type", path)
	}
	if config.understood, err = understood(expanded); err != nil {
		return nil, err
	}
	return config, config.check()
}

// understood returns what a configuration means, whatever its layout: sorted, with digests in the place of secrets.
func understood(text string) (string, error) {
	tree := map[string]any{}
	if _, err := toml.Decode(text, &tree); err != nil {
		return "", errors.New("not valid TOML")
	}
	hide(tree)
	line, err := json.Marshal(tree)
	return string(line), err
}

func hide(tree map[string]any) {
	for key, value := range tree {
		switch value := value.(type) {
		case map[string]any:
			if key == "env" { // whatever its values are, they are no words of this log
				tree[key] = digest(fmt.Sprint(value))
			} else {
				hide(value)
			}
		case string:
			if strings.HasSuffix(key, "token") || strings.HasSuffix(key, "key") {
				tree[key] = digest(value)
			}
		}
	}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

func (c *Config) check() error {
	if c.Discord == nil && c.Slack == nil && c.Gateway == nil && c.Telegram == nil {
		return errors.New("no adapter is configured: add a section [discord], [slack], [gateway] or [telegram]")
	}
	for name, adapter := range map[string]*Adapter{"discord": c.Discord, "slack": c.Slack} {
		if adapter != nil && adapter.BotToken == "" {
			return fmt.Errorf("%s: bot_token is empty: is its environment variable set?", name)
		}
	}
	return nil
}
