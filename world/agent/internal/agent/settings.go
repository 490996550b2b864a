package agent

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// Settings come from the environment; they are the stand-in's own, for tests.
type Settings struct {
	Home            string
	ChatURL         string        // OPENAB_CHAT_URL; empty: offline, it "connects" to nothing
	WriteInterval   time.Duration // OPENAB_WRITE_INTERVAL: one row is written to the database each time
	CheckpointEvery int           // OPENAB_CHECKPOINT_EVERY: force a checkpoint after so many rows; 0: leave it to SQLite
	SessionInterval time.Duration // OPENAB_SESSION_INTERVAL: append to the session file; 0: only with messages
}

func loadSettings() (Settings, error) {
	s := Settings{Home: os.Getenv("HOME"), ChatURL: os.Getenv("OPENAB_CHAT_URL")}
	var err error
	if s.WriteInterval, err = duration("OPENAB_WRITE_INTERVAL", 200*time.Millisecond); err != nil {
		return s, err
	}
	if s.SessionInterval, err = duration("OPENAB_SESSION_INTERVAL", 0); err != nil {
		return s, err
	}
	if text := os.Getenv("OPENAB_CHECKPOINT_EVERY"); text != "" {
		if s.CheckpointEvery, err = strconv.Atoi(text); err != nil {
			return s, fmt.Errorf("OPENAB_CHECKPOINT_EVERY=%q is not a number of rows", text)
		}
	}
	return s, nil
}

func duration(name string, otherwise time.Duration) (time.Duration, error) {
	text := os.Getenv(name)
	if text == "" {
		return otherwise, nil
	}
	value, err := time.ParseDuration(text)
	if err != nil || value < 0 {
		return 0, fmt.Errorf("%s=%q is not a duration such as 200ms", name, text)
	}
	return value, nil
}
