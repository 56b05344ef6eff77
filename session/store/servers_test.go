package store

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tether/session/store/storetest"
	"tether/tlsfiles"
	"tether/tlsfiles/tlstest"
)

// A server with TLS that wants a certificate of the client. A client that knows another authority, and one that speaks no TLS, say what is
// wrong.
func TestTLS(t *testing.T) {
	eachServer(t, func(t *testing.T, program string) {
		authority := tlstest.NewAuthority(t)
		own := authority.Issue(time.Hour, "127.0.0.1")
		addr := storetest.FreeAddr(t)
		_, port, _ := net.SplitHostPort(addr)
		args := []string{"--save", "", "--port", "0", "--tls-port", port, "--tls-cert-file", own.Cert, "--tls-key-file", own.Key, "--tls-ca-cert-file", authority.File}
		if text, _ := exec.Command("timeout", append([]string{"1", program}, args...)...).CombinedOutput(); strings.Contains(string(text), "TLS support") {
			t.Skip("this server has no TLS")
		}
		storetest.StartAt(t, addr, program, args...)
		with := func(u tlsfiles.Upstream, told *states) func(*Deps) {
			secure, err := tlsfiles.ForUpstream(&u, "")
			if err != nil {
				t.Fatal(err)
			}
			return func(d *Deps) {
				d.OnState = told.add
				d.TLS = func() *tls.Config {
					c := secure.Config().Clone()
					c.NextProtos = nil
					return c
				}
			}
		}
		var told states
		right := with(tlsfiles.Upstream{CA: authority.File, Cert: own.Cert, Key: own.Key}, &told)
		a, b := run(t, "rediss://"+addr, right), run(t, "rediss://"+addr, right)
		a.move(testKey(1), "x")
		agree(t, 1, "x", a, b)
		for what, wrong := range map[string]tlsfiles.Upstream{"another authority": {CA: tlstest.NewAuthority(t).File}, "another name": {CA: authority.File, ServerName: "redis.example"}} {
			var told states
			run(t, "rediss://"+addr, with(wrong, &told))
			eventually(t, what+" is told", patience, func() bool { return told.last() == insecure })
		}
	})
}

// Sentinels name the server. When it dies they name another one, which may lack what came last: it is added again.
func TestSentinels(t *testing.T) {
	t.Parallel()
	program := storetest.Programs(t)[0]
	sentinel, err := exec.LookPath("redis-sentinel")
	if err != nil {
		t.Skip("redis-sentinel is not installed")
	}
	first := storetest.Start(t, program)
	_, port, _ := net.SplitHostPort(first.Addr)
	second := storetest.Start(t, program, "--replicaof", "127.0.0.1 "+port)
	addr := storetest.FreeAddr(t)
	_, sentinelPort, _ := net.SplitHostPort(addr)
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nsentinel monitor mymaster 127.0.0.1 %s 1\nsentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n", sentinelPort, t.TempDir(), port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	storetest.StartAt(t, addr, sentinel, config)
	eventually(t, "the sentinel knows the replica", patience, func() bool {
		return strings.Contains(storetest.Ask(t, addr, "SENTINEL", "REPLICAS", "mymaster"), "slave0") || strings.Contains(storetest.Ask(t, addr, "SENTINEL", "MASTER", "mymaster"), "num-slaves\r\n$1\r\n1")
	})
	var told states
	url := "redis-sentinel://" + addr + "/mymaster"
	var load, seen loads
	load.put(3)
	a := run(t, url, func(d *Deps) { d.OnState, d.TellLoad = told.add, load.tell })
	b := run(t, url, seen.of)
	a.move(testKey(1), "before")
	agree(t, 1, "before", a, b)
	eventually(t, "load is shared", patience, seen.sees(3))
	first.Kill()
	b.move(testKey(2), "meanwhile")
	agree(t, 2, "meanwhile", a, b)
	eventually(t, "the store works", patience, func() bool { return told.last() == none })
	eventually(t, "load is shared over the other server", patience, seen.sees(3))
	if text := second.Do(t, "ROLE"); !strings.Contains(text, "master") {
		t.Errorf("the replica is still %q", text)
	}
	later := run(t, url, nil)
	agree(t, 1, "before", later)
	agree(t, 2, "meanwhile", later)
}

// A cluster of three nodes: the stream is at one of them, and any node of the URL leads there.
func TestCluster(t *testing.T) {
	eachServer(t, func(t *testing.T, program string) {
		var nodes []*storetest.Server
		for range 3 {
			nodes = append(nodes, storetest.Start(t, program, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000"))
		}
		for i, n := range nodes {
			first := 16384 / 3 * i
			last := 16384/3*(i+1) - 1
			if i == 2 {
				last = 16383
			}
			n.Do(t, "CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(first), fmt.Sprint(last))
			host, port, _ := net.SplitHostPort(nodes[0].Addr)
			n.Do(t, "CLUSTER", "MEET", host, port)
		}
		for _, n := range nodes {
			eventually(t, "the cluster is formed", patience, func() bool { return strings.Contains(n.Do(t, "CLUSTER", "INFO"), "cluster_state:ok") })
		}
		var load, seen loads
		load.put(3)
		a := run(t, "redis://"+nodes[0].Addr+","+nodes[1].Addr, load.of)
		b := run(t, "redis://"+nodes[2].Addr, seen.of)
		a.move(testKey(1), "x")
		b.move(testKey(2), "y")
		agree(t, 1, "x", a, b)
		agree(t, 2, "y", a, b)
		eventually(t, "load is shared", patience, seen.sees(3))
	})
}
