package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The image runs without an engine: its files are the only files, and it has its user and its environment.
func TestEmptyRoot(t *testing.T) {
	r := emptyRoot{dir: assemble(t), settings: readSettings(t)}
	cmd := r.command([]string{"/tether", "version"})
	if err := cmd.Run(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skipf("the image needs root or user namespaces to run in an empty root (%v)", err)
	} else if err != nil {
		t.Fatal(err)
	}
	testPlace(t, r)
}

// emptyRoot is the assembled folder as the root of processes.
type emptyRoot struct {
	dir      string
	settings settings
}

// command returns a command in the root, with the user and the environment of the image.
func (r emptyRoot) command(words []string, env ...string) *exec.Cmd {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.Env = "/", append(append([]string{}, r.settings.env...), env...)
	id, _, _ := strings.Cut(r.settings.user, ":")
	uid, _ := strconv.Atoi(id) // TestDockerfile checks that it is a number
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.dir, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	if os.Getuid() != 0 { // a user namespace maps this user to it
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getgid(), Size: 1}}
		cmd.SysProcAttr.Credential.NoSetGroups = true
	}
	return cmd
}

func (r emptyRoot) start(t testing.TB, env, args []string, mounted string) process {
	t.Helper()
	if mounted != "" {
		r.mount(t, mounted)
	}
	if args == nil {
		args = r.settings.cmd
	}
	p := &rooted{root: r, env: env, ended: make(chan struct{})}
	p.cmd = r.command(append(append([]string{}, r.settings.entrypoint...), args...), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.reap()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.ended })
	return p
}

// mount replaces the configuration by a file until the test ends, like a bind mount.
func (r emptyRoot) mount(t testing.TB, from string) {
	t.Helper()
	to := filepath.Join(r.dir, file)
	before, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(to, before, 0o644) })
}

// rooted is a process in the root.
type rooted struct {
	root  emptyRoot
	cmd   *exec.Cmd
	env   []string
	said  bytes.Buffer // complete once ended is closed
	ended chan struct{}
}

func (p *rooted) reap() {
	defer close(p.ended)
	_ = p.cmd.Wait()
}

func (p *rooted) health() error {
	out, err := p.root.command(p.root.settings.health, p.env...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (p *rooted) wait() (int, string) {
	<-p.ended
	return p.cmd.ProcessState.ExitCode(), p.said.String()
}

func (p *rooted) terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }
