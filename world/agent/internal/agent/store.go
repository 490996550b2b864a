package agent

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver named "sqlite", without cgo
)

// keptRows bounds the heartbeat table, so that an agent left alone for weeks does not fill its volume.
const keptRows = 20_000

// layouts are the statements that bring a database from one schema version to the next.
var layouts = []string{
	`CREATE TABLE conversations (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at INTEGER NOT NULL);
	 CREATE TABLE heartbeat (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, payload BLOB NOT NULL);`,
	`CREATE TABLE threads (id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, body TEXT NOT NULL, touched INTEGER NOT NULL);
	 INSERT INTO threads (key, body, touched) SELECT key, value, updated_at FROM conversations;
	 DROP TABLE conversations;`,
}

// Store is the agent's database: SQLite in WAL mode, one connection, the single writer of its file.
type Store struct {
	db     *sql.DB
	schema int
	next   int64
}

// openStore opens the database below home, making it or migrating it to schema.
// On a read-only home (no volume) the state is kept in memory, and durable is false.
func openStore(home string, schema int) (store *Store, durable bool, err error) {
	if schema < 1 || schema > len(layouts) {
		return nil, false, fmt.Errorf("this version has no database layout %d", schema)
	}
	path := filepath.Join(home, ".local/share/kiro-cli/data.sqlite3")
	durable = true
	if err := os.MkdirAll(filepath.Dir(path), 0o755); errors.Is(err, syscall.EROFS) {
		path, durable = ":memory:", false
	} else if err != nil {
		return nil, false, err
	}
	pragmas := url.Values{"_pragma": {"journal_mode(WAL)", "busy_timeout(5000)", "synchronous(NORMAL)"}}
	db, err := sql.Open("sqlite", "file:"+path+"?"+pragmas.Encode())
	if err != nil {
		return nil, false, err
	}
	db.SetMaxOpenConns(1)
	store = &Store{db: db, schema: schema}
	if err := store.prepare(); err != nil {
		_ = db.Close()
		return nil, false, err
	}
	return store, durable, nil
}

func (s *Store) prepare() error {
	var found int
	if err := s.db.QueryRow("PRAGMA user_version").Scan(&found); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if found > s.schema {
		return fmt.Errorf("database has schema version %d, this version knows up to %d: it was written by a newer one", found, s.schema)
	}
	for version := found + 1; version <= s.schema; version++ {
		if err := s.migrate(version); err != nil {
			return fmt.Errorf("database: migration to schema version %d: %w", version, err)
		}
	}
	return s.db.QueryRow("SELECT coalesce(max(n), 0) + 1 FROM heartbeat").Scan(&s.next)
}

func (s *Store) migrate(version int) error {
	transaction, err := s.db.Begin()
	if err != nil {
		return err
	}
	if _, err := transaction.Exec(layouts[version-1] + fmt.Sprintf("PRAGMA user_version = %d;", version)); err != nil {
		return errors.Join(err, transaction.Rollback())
	}
	return transaction.Commit()
}

// Beat commits one numbered row and drops the oldest beyond the bound: numbers never repeat and have no gap.
func (s *Store) Beat() error {
	payload := make([]byte, 256)
	_, _ = rand.Read(payload) // never fails
	transaction, err := s.db.Begin()
	if err != nil {
		return err
	}
	_, err = transaction.Exec("INSERT INTO heartbeat (n, at, payload) VALUES (?, ?, ?)", s.next, time.Now().UnixMilli(), payload)
	if err == nil {
		_, err = transaction.Exec("DELETE FROM heartbeat WHERE n <= ?", s.next-keptRows)
	}
	if err != nil {
		return errors.Join(err, transaction.Rollback())
	}
	if err := transaction.Commit(); err != nil {
		return err
	}
	s.next++
	return nil
}

// Checkpoint moves all of the write-ahead log into the main file.
func (s *Store) Checkpoint() error {
	_, err := s.db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// Remember keeps the last message of a conversation.
func (s *Store) Remember(key, text string) error {
	statement := "INSERT INTO conversations (key, value, updated_at) VALUES (?, ?, ?) " +
		"ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"
	if s.schema > 1 {
		statement = "INSERT INTO threads (key, body, touched) VALUES (?, ?, ?) " +
			"ON CONFLICT (key) DO UPDATE SET body = excluded.body, touched = excluded.touched"
	}
	_, err := s.db.Exec(statement, key, text, time.Now().UnixMilli())
	return err
}

// Close checkpoints and closes the database.
func (s *Store) Close() error { return s.db.Close() }
