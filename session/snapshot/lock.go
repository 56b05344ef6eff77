package snapshot

import (
	"errors"
	"os"
	"syscall"
)

// Lock is the right to use the snapshot at a path. It ends with Unlock, or with the process.
type Lock struct{ f *os.File }

// ErrLocked says that another process uses the snapshot.
var ErrLocked = errors.New("is in use by another process")

// Acquire takes the lock of the snapshot at path: that of the file PATH.lock, which stays. It does not wait. The error is ErrLocked, or the
// operating system's.
func Acquire(path string) (*Lock, error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // the lock's error is the one that matters
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, err
	}
	return &Lock{f}, nil
}

// Unlock gives the lock back.
func (l *Lock) Unlock() error { return l.f.Close() }
