package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func newStore(t *testing.T) store {
	t.Helper()
	opened, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func mustCreate(t *testing.T, s store, kind, id string, from *origin) record {
	t.Helper()
	made, err := s.create(kind, id, 1, from)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestASecondRequestFindsWhatTheFirstMade(t *testing.T) {
	s := newStore(t)
	made := mustCreate(t, s, volumes, "a", nil)
	note := filepath.Join(made.data, "note")
	if err := os.WriteFile(note, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}

	again := mustCreate(t, s, volumes, "a", nil)

	if content, err := os.ReadFile(filepath.Join(again.data, "note")); err != nil || string(content) != "kept" {
		t.Errorf("the volume was made anew: %q, %v", content, err)
	}
}

func TestTheSameNameWithAnotherSizeIsRefused(t *testing.T) {
	s := newStore(t)
	mustCreate(t, s, volumes, "a", nil)

	if _, err := s.create(volumes, "a", 2, nil); !errors.Is(err, errDifferent) {
		t.Errorf("got %v", err)
	}
}

func TestACopyHasModesAndLinksAndALifeOfItsOwn(t *testing.T) {
	s := newStore(t)
	source := mustCreate(t, s, volumes, "a", nil)
	private := filepath.Join(source.data, "private")
	if err := errors.Join(
		os.WriteFile(private, []byte("then"), 0o600),
		os.Symlink("nowhere", filepath.Join(source.data, "dangling")),
	); err != nil {
		t.Fatal(err)
	}

	snapshot := mustCreate(t, s, snapshots, "s", &origin{Kind: volumes, ID: "a"})
	if err := os.WriteFile(private, []byte("now"), 0o600); err != nil {
		t.Fatal(err)
	}
	restored := mustCreate(t, s, volumes, "b", &origin{Kind: snapshots, ID: "s"})

	content, err := os.ReadFile(filepath.Join(restored.data, "private"))
	if err != nil || string(content) != "then" {
		t.Errorf("got %q, %v", content, err)
	}
	info, err := os.Stat(filepath.Join(snapshot.data, "private"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if target, err := os.Readlink(filepath.Join(restored.data, "dangling")); target != "nowhere" {
		t.Errorf("got %q, %v", target, err)
	}
}

func TestACopyOfNothingLeavesNothing(t *testing.T) {
	s := newStore(t)

	if _, err := s.create(volumes, "b", 1, &origin{Kind: snapshots, ID: "missing"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Join(s.root, volumes)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestNamesStayInsideTheDirectory(t *testing.T) {
	s := newStore(t)
	for _, name := range []string{"", ".", "..", "../a", "a/b", ".hidden"} {
		if _, err := s.create(volumes, name, 1, nil); !errors.Is(err, errBadName) {
			t.Errorf("%q: got %v", name, err)
		}
		if err := s.remove(volumes, name); !errors.Is(err, errBadName) {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func TestRemovingTwiceIsNoError(t *testing.T) {
	s := newStore(t)
	mustCreate(t, s, volumes, "a", nil)

	if err := errors.Join(s.remove(volumes, "a"), s.remove(volumes, "a")); err != nil {
		t.Error(err)
	}
}
