package peers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every architecture that Go supports.
const tick = 10 * time.Millisecond

// Usage reads what the peer has used so far.
func (r *Process) Usage() (u Usage, err error) {
	for _, pid := range r.Tree() {
		fields, err := stat(pid)
		if err != nil {
			return Usage{}, fmt.Errorf("%s: %w", r.Name, err)
		}
		// utime, stime, cutime and cstime are the fields 14 to 17 of proc_pid_stat(5); stat leaves out the first two.
		var times [4]time.Duration
		for i := range times {
			n, err := strconv.ParseInt(fields[11+i], 10, 64)
			if err != nil {
				return Usage{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
			}
			times[i] = time.Duration(n) * tick
		}
		u.User += times[0] + times[2]
		u.CPU += times[0] + times[1] + times[2] + times[3]
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		for _, file := range threads {
			u.Switches += statusField(file, "voluntary_ctxt_switches")
			u.Preempted += statusField(file, "nonvoluntary_ctxt_switches")
		}
	}
	return u, nil
}

// RSS returns the bytes of memory that the peer holds.
func (r *Process) RSS() (bytes int) {
	for _, pid := range r.Tree() {
		bytes += statusField(fmt.Sprintf("/proc/%d/status", pid), "VmRSS") << 10
	}
	return bytes
}

// Traced reports whether a tracer such as strace is attached.
func (r *Process) Traced() bool {
	return statusField(fmt.Sprintf("/proc/%d/status", r.PID), "TracerPid") > 0
}

// Metric returns the value of a metric of tether, by name and labels.
func (r *Process) Metric(ctx context.Context, series string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, is := strings.CutPrefix(line, series+" "); is {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", series)
}

// stat returns the fields of /proc/PID/stat after the name of the program.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	_, after, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
	fields := strings.Fields(after)
	if len(fields) < 20 {
		return nil, fmt.Errorf("/proc/%d/stat has too few fields", pid)
	}
	return fields, nil
}

// parents returns the parent of each process of this machine.
func parents() map[int]int {
	parents := map[int]int{}
	files, _ := filepath.Glob("/proc/[0-9]*")
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(file))
		if err != nil {
			continue
		}
		if fields, err := stat(pid); err == nil { // it may have ended
			parents[pid], _ = strconv.Atoi(fields[1])
		}
	}
	return parents
}

// statusField returns a number of a status file, or 0 if the file or the field is absent: a thread may have ended.
func statusField(file, name string) int {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if value, is := strings.CutPrefix(line, name+":"); is {
			if fields := strings.Fields(value); len(fields) > 0 {
				n, _ := strconv.Atoi(fields[0])
				return n
			}
		}
	}
	return 0
}
