package home

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// epoch is the newest time that a filled file is given; the seed chooses how much older each one is.
var epoch = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

const oldest = 400 * 24 * time.Hour

// Summary says what was made.
type Summary struct {
	Entries int   `json:"entries"`
	Bytes   int64 `json:"bytes"`  // lengths of regular files, holes included
	Xattrs  bool  `json:"xattrs"` // whether the volume takes extended attributes
}

// Filler makes files below a directory. After the first error it does nothing more; Finish returns that error.
type Filler struct {
	root string
	*job
}

// job is shared by all fillers of one run.
type job struct {
	source  *rand.ChaCha8
	random  *rand.Rand
	delayed []func() error // what has to wait until directories have their contents: their modes and times
	summary Summary
	err     error
}

// NewFiller returns a filler of root.
func NewFiller(root string, seed uint64) *Filler {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	source := rand.NewChaCha8(key)
	return &Filler{root, &job{source: source, random: rand.New(source)}}
}

// Below returns a filler of a directory below this one.
func (f *Filler) Below(name string) *Filler { return &Filler{filepath.Join(f.root, name), f.job} }

// Finish gives directories their modes and times, deepest first.
func (f *Filler) Finish() (Summary, error) {
	for i := len(f.delayed) - 1; i >= 0 && f.err == nil; i-- {
		f.err = f.delayed[i]()
	}
	return f.summary, f.err
}

// try runs the steps in turn unless something failed before.
func (f *Filler) try(steps ...func() error) {
	for _, step := range steps {
		if f.err == nil {
			f.err = step()
		}
	}
}

func (f *Filler) path(name string) string { return f.root + "/" + name } // Join would clean odd names

// place makes room for a new entry: its parents exist, an older entry of the name is gone.
func (f *Filler) place(path string) {
	f.summary.Entries++
	f.try(
		func() error { return os.MkdirAll(filepath.Dir(path), 0o755) },
		func() error { return remove(path) },
	)
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// age is how much older than the epoch the next entry is, to the nanosecond.
func (f *Filler) age() time.Time {
	return epoch.Add(-time.Duration(f.random.Int64N(int64(oldest))))
}

func touch(path string, at time.Time) error {
	stamp, err := unix.TimeToTimespec(at)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW)
}

// Dir makes a directory; its mode and time are set when its contents are there.
func (f *Filler) Dir(name string, mode uint32) *Filler {
	path, at := f.path(name), f.age()
	f.summary.Entries++
	f.try(
		func() error { return os.MkdirAll(path, 0o755) },
		func() error { return unix.Chmod(path, 0o755) }, // an earlier run may have closed it
	)
	f.delayed = append(f.delayed, func() error {
		return errors.Join(unix.Chmod(path, mode), touch(path, at))
	})
	return &Filler{path, f.job}
}

// File writes a regular file.
func (f *Filler) File(name, content string, mode uint32) {
	f.stream(name, mode, func(file *os.File) error {
		_, err := file.WriteString(content)
		return err
	})
}

// Random writes a file of size random bytes.
func (f *Filler) Random(name string, size int64, mode uint32) {
	f.stream(name, mode, func(file *os.File) error {
		_, err := io.CopyN(file, f.source, size)
		return err
	})
}

// Sparse writes a file of size bytes that is a hole but for a block at its start and one in the middle.
func (f *Filler) Sparse(name string, size int64) {
	f.stream(name, 0o644, func(file *os.File) error {
		block := make([]byte, 4096)
		_, _ = f.source.Read(block) // never fails
		_, first := file.WriteAt(block, 0)
		_, middle := file.WriteAt(block, size/2)
		return errors.Join(first, middle, file.Truncate(size))
	})
}

func (f *Filler) stream(name string, mode uint32, write func(*os.File) error) {
	path := f.path(name)
	f.place(path)
	f.try(func() (err error) {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if err := write(file); err != nil {
			return err
		}
		info, err := file.Stat()
		if err == nil {
			f.summary.Bytes += info.Size()
		}
		return err
	}, func() error { return unix.Chmod(path, mode) }, func() error { return touch(path, f.age()) })
}

// Symlink makes a symbolic link to target, which need not exist.
func (f *Filler) Symlink(name, target string) {
	path := f.path(name)
	f.place(path)
	f.try(func() error { return os.Symlink(target, path) }, func() error { return touch(path, f.age()) })
}

// Hardlink gives the file of the name existing one more name.
func (f *Filler) Hardlink(name, existing string) {
	path := f.path(name)
	f.place(path)
	f.try(func() error { return os.Link(f.path(existing), path) })
}

// Touch gives an entry a time of its own.
func (f *Filler) Touch(name string, at time.Time) {
	f.try(func() error { return touch(f.path(name), at) })
}

// Xattr sets an extended attribute where the volume takes them.
func (f *Filler) Xattr(name, attribute, value string) {
	f.try(func() error {
		err := unix.Lsetxattr(f.path(name), attribute, []byte(value), 0)
		if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
			return nil
		}
		f.summary.Xattrs = err == nil
		return err
	})
}
