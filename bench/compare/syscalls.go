package main

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// errNoStrace means that system calls cannot be counted here.
var errNoStrace = errors.New("strace is not installed")

// callKinds are the kinds of system calls that the table shows, with the calls of each. All others are "other".
var callKinds = []struct {
	name  string
	calls []string
}{
	{"receive", []string{"recvfrom", "recvmsg", "read", "readv"}},
	{"send", []string{"sendto", "sendmsg", "write", "writev"}},
	{"wait for sockets", []string{"epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "io_uring_enter"}},
	{"change what is waited for", []string{"epoll_ctl"}},
	{"wait and wake threads", []string{"futex", "nanosleep", "clock_nanosleep", "sched_yield", "tgkill"}},
}

const (
	otherCalls  = "other"
	failedCalls = "in vain"
	allCalls    = "all"
)

// callMeasures are what a row of system calls shows.
func callMeasures() (shows []measure) {
	for _, k := range callKinds {
		shows = append(shows, measure{k.name, k.name})
	}
	return append(shows, measure{otherCalls, otherCalls}, measure{allCalls, "all"}, measure{failedCalls, "of them in vain (EAGAIN and other errors)"})
}

// countCalls adds up the summary of strace -c by kind.
func countCalls(summary string) (figures, error) {
	f := figures{}
	for lines := bufio.NewScanner(strings.NewReader(summary)); lines.Scan(); {
		// The columns: % time, seconds, usecs/call, calls, errors (may be empty), name.
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 || fields[len(fields)-1] == "total" {
			continue
		}
		n, err := strconv.Atoi(fields[3])
		if err != nil {
			continue // the heading or a rule
		}
		f[allCalls] += float64(n)
		f[callKind(fields[len(fields)-1])] += float64(n)
		if len(fields) == 6 {
			failed, err := strconv.Atoi(fields[4])
			if err != nil {
				return nil, fmt.Errorf("strace: %q", lines.Text())
			}
			f[failedCalls] += float64(failed)
		}
	}
	if f[allCalls] == 0 {
		return nil, fmt.Errorf("strace counted nothing: %s", summary)
	}
	return f, nil
}

// callKind returns the kind of a system call.
func callKind(name string) string {
	for _, k := range callKinds {
		for _, c := range k.calls {
			if c == name {
				return k.name
			}
		}
	}
	return otherCalls
}
