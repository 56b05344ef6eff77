package logs

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A disk that is always full costs only the logs.
func TestFullDevice(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	w := start(t, full, full, simulated(t))
	w.flood(8, 1000)
	w.serves()
	w.drains(10)
	if w.dropped("access") == 0 {
		t.Error("the access log drops no lines")
	}
	if state := w.proxy.End(t, syscall.SIGINT, exitLimit); !state.Success() {
		t.Errorf("ended with %v", state)
	}
}

// files are both logs as files in a folder.
func files(t *testing.T, dir string) (out, errOut *os.File) {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	return open("access.log"), open("tether.log")
}

// readLines returns the lines of a file, which must be whole.
func readLines(t *testing.T, f *os.File) (lines []line) {
	t.Helper()
	text, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	for one := range bytes.Lines(text) {
		var l line
		if err := json.Unmarshal(one, &l); err != nil {
			t.Fatalf("%v: %q", err, one)
		}
		lines = append(lines, l)
	}
	return lines
}

// awaitSize waits until a file has at least so many bytes.
func awaitSize(t *testing.T, f *os.File, size int64) {
	t.Helper()
	var info os.FileInfo
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var err error
		if info, err = f.Stat(); err != nil {
			t.Fatal(err)
		}
		if info.Size() >= size {
			return
		}
	}
	t.Fatalf("%s has %d bytes, want %d", f.Name(), info.Size(), size)
}

// Both logs reach a limit for the size of files within a line. Once the limit is raised, the logs are completed: tether has
// queued all lines.
func TestFileSizeLimit(t *testing.T) {
	out, errOut := files(t, t.TempDir())
	w := start(t, out, errOut, simulated(t))
	info, err := errOut.Stat()
	if err != nil {
		t.Fatal(err)
	}
	limit := unix.Rlimit{Cur: uint64(info.Size()) + 100, Max: unix.RLIM_INFINITY}
	var old unix.Rlimit
	if err := unix.Prlimit(w.proxy.PID, unix.RLIMIT_FSIZE, nil, &old); err != nil {
		t.Skip(err)
	}
	limit.Max = old.Max
	if err := unix.Prlimit(w.proxy.PID, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Skip(err)
	}
	w.flood(2, 50)
	w.drains(10)
	awaitSize(t, out, int64(limit.Cur))
	awaitSize(t, errOut, int64(limit.Cur))
	w.serves()
	if err := unix.Prlimit(w.proxy.PID, unix.RLIMIT_FSIZE, &old, nil); err != nil {
		t.Fatal(err)
	}
	awaitSize(t, out, int64(limit.Cur)+4096)
	awaitSize(t, errOut, int64(limit.Cur)+4096)
	w.completes(out, errOut)
}

// Both logs fill a disk. Once there is space, the logs are completed.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no small disk: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	out, errOut := files(t, dir)
	w := start(t, out, errOut, simulated(t))
	w.flood(2, 100)
	w.drains(50)
	w.serves()
	awaitFull(t, dir)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	awaitSize(t, out, 100<<10)
	awaitSize(t, errOut, 20<<10)
	w.completes(out, errOut)
}

func awaitFull(t *testing.T, dir string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var stat unix.Statfs_t
		if err := unix.Statfs(dir, &stat); err != nil {
			t.Fatal(err)
		}
		if stat.Bavail == 0 {
			return
		}
	}
	t.Fatal("the disk is not full")
}

// completes ends tether, and checks that no line of the logs is lost, torn or out of order.
func (w *world) completes(out, errOut *os.File) {
	w.t.Helper()
	if access, app := w.dropped("access"), w.dropped("app"); access+app > 0 {
		w.t.Errorf("%d and %d lines dropped", access, app)
	}
	w.proxy.End(w.t, syscall.SIGINT, exitLimit)
	lines := readLines(w.t, out)
	checkOrder(w.t, lines)
	checkChanges(w.t, readLines(w.t, errOut))
	if len(lines) != w.total() {
		w.t.Errorf("%d lines, want one for each of the %d requests", len(lines), w.total())
	}
}
