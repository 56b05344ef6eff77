package loop

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What is pushed to several sockets at once has the same end for each as if it were pushed alone, whether the kernel allows
// asynchronous I/O or not.
func TestBurst(t *testing.T) {
	t.Run("together", func(t *testing.T) { pushToSeveral(t, true) })
	t.Run("without asynchronous I/O", func(t *testing.T) { pushToSeveral(t, false) })
}

func pushToSeveral(t *testing.T, together bool) {
	_, first := connected(t, EngineEpoll, 1)
	const good = maxPushed + 5
	large := bytes.Repeat([]byte("0123456789abcdef"), outboxSize/16)
	deafPeer, deaf := onSameLoop(t, first)
	resetPeer, reset := onSameLoop(t, first)
	_, closed := onSameLoop(t, first)
	toDeaf, toReset, toClosed := drive(deaf, time.Time{}), drive(reset, time.Time{}), drive(closed, time.Time{})
	resetPeer.SetLinger(0)
	resetPeer.Close()
	wait(t, toReset.ended) // the reset has arrived
	closed.Close()
	wait(t, toClosed.ended)
	onLoop(t, first, func(time.Time) {
		if !together {
			epollSide(first).loop.out.burst.close()
		}
		if err := setSendBuffer(deaf); err != nil {
			t.Error(err)
		}
		side := epollSide(deaf)
		side.unsent, side.pushed = large, true // more than Push defers
		side.loop.out.sockets = append(side.loop.out.sockets, side)
		reset.Push([]byte("x"))
		closed.Push([]byte("x"))
	})
	var peers []*net.TCPConn
	var told []*recorder
	var all []*Socket
	for range good {
		peer, s := onSameLoop(t, first)
		peers, all, told = append(peers, peer), append(all, s), append(told, drive(s, time.Time{}))
	}
	onLoop(t, first, func(time.Time) {
		for _, s := range all {
			s.Push([]byte("whole"))
			s.Sending() // so that Drained follows
		}
	})
	for i, peer := range peers {
		got := make([]byte, len("whole"))
		if _, err := io.ReadFull(peer, got); err != nil || string(got) != "whole" {
			t.Errorf("socket %d: %q, %v", i, got, err)
		}
		wait(t, told[i].drained)
	}
	if err := wait(t, toReset.refused); !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}
	if err := wait(t, toClosed.refused); err != net.ErrClosed {
		t.Errorf("after a close: %v", err)
	}
	if err := wait(t, toDeaf.refused); err != nil {
		t.Errorf("for a peer that reads nothing: %v", err)
	}
	got := make([]byte, len(large))
	if _, err := io.ReadFull(deafPeer, got); err != nil || !bytes.Equal(got, large) {
		t.Errorf("the bytes differ (%v)", err)
	}
	wait(t, toDeaf.drained)
}

// setSendBuffer makes the kernel take few bytes at once.
func setSendBuffer(s *Socket) error {
	return s.control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1) })
}

func epollSide(s *Socket) *driven { return s.side.(*driven) }
