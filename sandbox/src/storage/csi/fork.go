package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forker makes the directories that are volumes. As with a new file system,
// the top of an empty one is root's alone to write; kubelet applies fsGroup.
type forker interface {
	empty(path string) error
	copy(source, target string) error
}

// forkerFor prefers btrfs' snapshots, which are of one point in time.
func forkerFor(root string) (forker, error) {
	var found unix.Statfs_t
	if err := unix.Statfs(root, &found); err != nil {
		return nil, err
	}
	if found.Type == unix.BTRFS_SUPER_MAGIC {
		return subvolumes{}, nil
	}
	return directories{}, nil
}

// directories copies file by file: on a volume in use, not at one point in time.
type directories struct{}

func (directories) empty(path string) error {
	return os.Mkdir(path, 0o755)
}

func (directories) copy(source, target string) error {
	output, err := exec.Command("cp", "--archive", "--reflink=auto", "--", source, target).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copying %s: %w: %s", source, err, output)
	}
	return nil
}

// subvolumes of a btrfs file system are copied at once, whoever writes.
type subvolumes struct{}

// From linux/btrfs.h: _IOW(0x94, 14 and 1, struct btrfs_ioctl_vol_args).
const (
	createSubvolume = 0x5000940e
	createSnapshot  = 0x50009401
)

// subvolumeArguments is struct btrfs_ioctl_vol_args.
type subvolumeArguments struct {
	fd   int64
	name [4088]byte
}

func (subvolumes) empty(path string) error {
	return onSubvolume(createSubvolume, path, 0)
}

func (subvolumes) copy(source, target string) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer from.Close()
	return onSubvolume(createSnapshot, target, int64(from.Fd()))
}

func onSubvolume(request uintptr, path string, from int64) error {
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	arguments := subvolumeArguments{fd: from}
	copy(arguments.name[:], filepath.Base(path))
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, parent.Fd(), request, uintptr(unsafe.Pointer(&arguments))); errno != 0 {
		return fmt.Errorf("btrfs: %s: %w", path, errno)
	}
	return nil
}
