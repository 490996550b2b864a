package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigTakesTheTokenFromTheEnvironment(t *testing.T) {
	t.Setenv("DISCORD_BOT_TOKEN", "t0ken")
	config, err := loadConfig(write(t, "[discord]\nbot_token = \"${DISCORD_BOT_TOKEN}\"\n[agent]\ncommand = \"kiro-cli\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if config.Discord.BotToken != "t0ken" || config.Agent.Command != "kiro-cli" {
		t.Errorf("got %+v", config.Discord)
	}
}

func TestConfigsThatCannotWorkAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no adapter":      {"[agent]\ncommand = \"x\"\n", "no adapter"},
		"unset token":     {"[discord]\nbot_token = \"${SURELY_NOT_SET}\"\n", "bot_token is empty"},
		"not TOML":        {"[discord\n", "not valid TOML"},
		"of a wrong type": {"[pool]\nmax_sessions = \"many\"\n", "wrong type"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(write(t, c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestErrorsDoNotShowTheToken(t *testing.T) {
	t.Setenv("DISCORD_BOT_TOKEN", `s3cret" oops`)
	_, err := loadConfig(write(t, "[discord]\nbot_token = \"${DISCORD_BOT_TOKEN}\"\n"))
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}
