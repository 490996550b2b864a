package agent

import (
	"strings"
	"testing"
)

func open(t *testing.T, home string, schema int) *Store {
	t.Helper()
	store, durable, err := openStore(home, schema)
	if err != nil || !durable {
		t.Fatal(durable, err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestHeartbeatGoesOnWhereItStopped(t *testing.T) {
	home := t.TempDir()
	for range 2 {
		store := open(t, home, 1)
		for range 3 {
			if err := store.Beat(); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var count, last int
	if err := open(t, home, 1).db.QueryRow("SELECT count(*), max(n) FROM heartbeat").Scan(&count, &last); err != nil {
		t.Fatal(err)
	}
	if count != 6 || last != 6 {
		t.Errorf("%d rows up to %d", count, last)
	}
}

func TestTheDatabaseIsInWalMode(t *testing.T) {
	var mode string
	if err := open(t, t.TempDir(), 1).db.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Error(mode, err)
	}
}

func TestMigrationKeepsConversationsAndShutsOlderVersionsOut(t *testing.T) {
	home := t.TempDir()
	old := open(t, home, 1)
	if err := old.Remember("general", "hello"); err != nil {
		t.Fatal(err)
	}
	_ = old.Close()

	migrated := open(t, home, 2)
	var body string
	if err := migrated.db.QueryRow("SELECT body FROM threads WHERE key = 'general'").Scan(&body); err != nil || body != "hello" {
		t.Error(body, err)
	}
	if err := migrated.Remember("general", "again"); err != nil {
		t.Error(err)
	}
	_ = migrated.Close()

	if _, _, err := openStore(home, 1); err == nil || !strings.Contains(err.Error(), "schema version 2") {
		t.Errorf("the older version opened it: %v", err)
	}
}
