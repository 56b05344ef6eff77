package store

import (
	"crypto/tls"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tether/session/store/storetest"
	"tether/tlsfiles"
	"tether/tlsfiles/tlstest"
	"tether/wire/wiretest"
)

// A server with TLS that wants a certificate of the client. A client that knows another authority, and one that speaks no TLS, say what is
// wrong.
func TestTLS(t *testing.T) {
	eachServer(t, func(t *testing.T, program string) {
		authority := tlstest.NewAuthority(t)
		own := authority.Issue(time.Hour, "127.0.0.1")
		addr := wiretest.FreeAddr(t)
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
	eachServer(t, func(t *testing.T, program string) {
		testSentinels(t, program, "")
	})
}

// Sentinels with a password of their own. A wrong one, or none, is told, and does not show.
func TestSentinelsWithPassword(t *testing.T) {
	eachServer(t, func(t *testing.T, program string) {
		testSentinels(t, program, "s3ntinels-word")
	})
}

// testSentinels lets the server die that a sentinel names. password is that of the sentinel, "" for none.
func testSentinels(t *testing.T, program, password string) {
	first := storetest.Start(t, program)
	_, port, _ := net.SplitHostPort(first.Addr)
	second := storetest.Start(t, program, "--replicaof", "127.0.0.1 "+port)
	var lines []string
	if password != "" {
		lines = append(lines, "requirepass "+password)
	}
	sentinel := storetest.Sentinel(t, first, lines...)
	sentinel.AwaitReplica(t, password)
	var told states
	url := "redis-sentinel://" + sentinel.Addr + "/mymaster"
	var load, seen loads
	load.put(3)
	a := run(t, url, func(d *Deps) { d.OnState, d.TellLoad, d.Address.SentinelPassword = told.add, load.tell, password })
	b := run(t, url, func(d *Deps) { d.TellLoad, d.Address.SentinelPassword = seen.tell, password })
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
	later := run(t, url, func(d *Deps) { d.Address.SentinelPassword = password })
	agree(t, 1, "before", later)
	agree(t, 2, "meanwhile", later)
	for _, wrong := range []string{"", "wrong"} {
		if password == "" {
			break
		}
		var told states
		run(t, url, func(d *Deps) { d.OnState, d.Address.SentinelPassword = told.add, wrong })
		eventually(t, "a wrong password is told", patience, func() bool { return told.last() == wrongUser })
	}
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
