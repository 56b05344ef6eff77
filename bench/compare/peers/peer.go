package peers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// World is what a peer is configured for.
type World struct {
	// Addr is the address that the peer listens on.
	Addr string
	// Admin is the address of the peer's second listener, if it has one: for operators, or for metrics.
	Admin string
	// Upstreams are the addresses of the upstreams.
	Upstreams []string
	// Cert and Key are PEM files. If they are set, the peer serves TLS.
	Cert, Key string
	// Connections is the number of connections that clients may open.
	Connections int
	// Dir is a folder for the peer's files.
	Dir string
}

// Peer is a proxy that can take part.
type Peer struct {
	// Name is the name of its column.
	Name string
	// Binary is the program.
	Binary string
	// Prefix stands before the path of requests, and SessionHeader names their session; X-Session-Id if empty.
	Prefix, SessionHeader string
	// TLS is true if the comparison can run it with TLS.
	TLS bool
	// command returns the command line, and writes the files that it needs.
	command func(binary string, w World) ([]string, error)
	// Engine is the value of proxy.engine, for tether. "" leaves the default.
	Engine string
	// interrupt means that SIGINT, not SIGTERM, ends it without a delay.
	interrupt bool
}

// ErrAbsent means that the program of a peer is not installed.
var ErrAbsent = errors.New("not installed")

// Find returns the peer with this name, ErrAbsent if its program is not installed, or another error if the name is unknown.
func Find(name string) (Peer, error) {
	for _, k := range known {
		if k.name != name {
			continue
		}
		binary, err := locate(k)
		p := k.Peer
		p.Binary = binary
		return p, err
	}
	return Peer{}, fmt.Errorf("%s is not a known peer", name)
}

// Names returns the names of all peers but tether.
func Names() (names []string) {
	for _, k := range known {
		names = append(names, k.name)
	}
	return names
}

// Tether returns tether's peer. engine is the value of proxy.engine, or "" for the default.
func Tether(name, binary, engine string) Peer {
	return Peer{Name: name, Binary: binary, TLS: true, command: tether, Engine: engine, interrupt: true}
}

// Version returns the first line of what the program says about its version, or "".
func (p Peer) Version() string {
	for _, flag := range []string{"-v", "--version", "version"} {
		out, err := exec.Command(p.Binary, flag).CombinedOutput()
		if line, _, _ := strings.Cut(string(out), "\n"); err == nil && line != "" {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// kind is a peer other than tether. Its program is named by a variable of the environment, or found in PATH, or in /usr/sbin.
type kind struct {
	Peer
	name, variable string
	inPath         bool
}

var known = []kind{
	{Peer{Name: "HAProxy", TLS: true, command: haproxy}, "haproxy", "HAPROXY_BIN", true},
	{Peer{Name: "nginx", TLS: true, command: nginx}, "nginx", "NGINX_BIN", true},
	{Peer{Name: "vllm-router", command: vllmRouter}, "vllm-router", "VLLM_ROUTER_BIN", false},
	{Peer{Name: "smg", command: smg}, "smg", "SMG_BIN", false},
	{Peer{Name: "Olla", command: olla, Prefix: "/olla/vllm", SessionHeader: "X-Olla-Session-ID"}, "olla", "OLLA_BIN", false},
}

func locate(k kind) (string, error) {
	if path := os.Getenv(k.variable); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("%s: %w", k.variable, err)
		}
		return path, nil
	}
	if !k.inPath {
		return "", fmt.Errorf("%w: %s does not name its program", ErrAbsent, k.variable)
	}
	for _, path := range []string{k.name, filepath.Join("/usr/sbin", k.name)} {
		if path, err := exec.LookPath(path); err == nil {
			return path, nil
		}
	}
	return "", ErrAbsent
}
