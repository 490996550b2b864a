package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"
)

// Kinds of what the store keeps, and the names of their directories.
const (
	volumes   = "volumes"
	snapshots = "snapshots"
)

var (
	errDifferent = errors.New("exists with other properties")
	errBadName   = errors.New("not usable as a name")
)

// store keeps volumes and snapshots as directories KIND/ID/data beside a record
// KIND/ID/record.json. A new one is made as KIND/.ID and renamed when it is complete.
type store struct {
	root  string
	mutex *sync.Mutex
	fork  forker
}

// origin is what a volume or snapshot was copied from.
type origin struct {
	Kind string
	ID   string
}

// record describes one volume or snapshot. Capacity, in bytes, is a promise
// only: nothing stops a pod from writing more.
type record struct {
	ID       string
	Capacity int64
	Origin   *origin
	Created  time.Time

	data string
}

func openStore(root string) (store, error) {
	for _, kind := range []string{volumes, snapshots} {
		if err := os.MkdirAll(filepath.Join(root, kind), 0o700); err != nil {
			return store{}, err
		}
	}
	fork, err := forkerFor(root)
	return store{root: root, mutex: &sync.Mutex{}, fork: fork}, err
}

// find returns fs.ErrNotExist if there is none.
func (s store) find(kind, id string) (record, error) {
	directory, err := s.directory(kind, id)
	if err != nil {
		return record{}, err
	}
	content, err := os.ReadFile(filepath.Join(directory, "record.json"))
	if err != nil {
		return record{}, err
	}
	found := record{data: filepath.Join(directory, "data")}
	return found, json.Unmarshal(content, &found)
}

// create makes what is not there; what is there with the same properties is
// returned as it is, with others it is errDifferent.
func (s store) create(kind, id string, capacity int64, from *origin) (record, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if found, err := s.find(kind, id); err == nil {
		if found.Capacity != capacity || !reflect.DeepEqual(found.Origin, from) {
			return record{}, fmt.Errorf("%s %q %w", kind, id, errDifferent)
		}
		return found, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return record{}, err
	}
	aside := filepath.Join(s.root, kind, "."+id)
	if err := errors.Join(os.RemoveAll(aside), os.Mkdir(aside, 0o700)); err != nil {
		return record{}, err
	}
	made := record{ID: id, Capacity: capacity, Origin: from, Created: time.Now().UTC()}
	if err := s.fill(aside, made); err != nil {
		return record{}, errors.Join(err, os.RemoveAll(aside))
	}
	if err := os.Rename(aside, filepath.Join(s.root, kind, id)); err != nil {
		return record{}, err
	}
	return s.find(kind, id)
}

func (s store) fill(aside string, made record) error {
	content, err := json.Marshal(made)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(aside, "record.json"), content, 0o600); err != nil {
		return err
	}
	data := filepath.Join(aside, "data")
	if made.Origin == nil {
		return s.fork.empty(data)
	}
	source, err := s.find(made.Origin.Kind, made.Origin.ID)
	if err != nil {
		return err
	}
	return s.fork.copy(source.data, data)
}

// remove is content with what is not there.
func (s store) remove(kind, id string) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	directory, err := s.directory(kind, id)
	if err != nil {
		return err
	}
	return os.RemoveAll(directory)
}

func (s store) directory(kind, id string) (string, error) {
	if id == "" || id[0] == '.' || filepath.Base(id) != id {
		return "", fmt.Errorf("%q is %w", id, errBadName)
	}
	return filepath.Join(s.root, kind, id), nil
}
