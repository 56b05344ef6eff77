package main

import (
	"maps"
	"testing"
)

const exampleSummary = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 45.17    0.100000          10     10000           sendto
 30.00    0.050000           5     12000      2000 recvfrom
 20.00    0.020000           5       500           epoll_pwait
  4.00    0.010000           5       300         7 futex
  0.83    0.000001           1         3           getpid
------ ----------- ----------- --------- --------- ----------------
100.00    0.180001           7     22803      2007 total
`

func TestCountCalls(t *testing.T) {
	got, err := countCalls(exampleSummary)
	want := figures{
		"send": 10000, "receive": 12000, "wait for sockets": 500, "wait and wake threads": 300, otherCalls: 3, allCalls: 22803, failedCalls: 2007,
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := countCalls("strace: attach: Operation not permitted"); err == nil {
		t.Error("a summary without calls is no error")
	}
}
