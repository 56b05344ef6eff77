// Package logs keeps the process's work from waiting for its logs. A Writer takes the lines of one log and never makes
// its callers wait, whatever becomes of the file behind it: a pipe that is not read or has lost its reader, a full disk.
// Packages cli and app start one for each log. It does not know what the lines say.
//
// harden.go and crash_linux.go change the process: they are tested in e2e/logs, on a process of their own.
//
// Goroutines: Writer.run, started by Start; Writer.Close ends it.
package logs

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Limits of a Writer.
const (
	// chunkSize is the size in bytes of one part of the queue, and the longest line.
	chunkSize = 64 << 10
	// maxChunks bounds the queue to 4 MiB.
	maxChunks = 64
	// atomicSize is how many bytes a Linux pipe takes as a whole or not at all (PIPE_BUF). Writes of whole lines within
	// atomicSize stay whole if another writer has the same pipe, or if the process ends while the pipe is full.
	atomicSize = 4096
	// retryInterval is the time between two attempts to write to a file that fails.
	retryInterval = 100 * time.Millisecond
)

// Loss is a number of lines that were dropped, the first of them at Since.
type Loss struct {
	Lines uint64
	Since time.Time
}

// Writer writes whole lines to a file in the order in which it received them. Its queue is bounded. Once a line finds the
// queue full, the Writer drops that line and all later ones until the queue has been written. So the log has one gap, and
// the function of OnLoss reports the gap in its place.
//
// All methods are safe for concurrent use.
type Writer struct {
	out     io.Writer     // used by run alone
	gather  time.Duration // how long the lines of an incomplete chunk wait for more
	wake    chan struct{} // has an element after a chunk was added to the queue
	closing chan struct{} // closed by Close
	expired chan struct{} // closed when the limit of Close has passed
	ended   chan struct{} // closed at the end of run
	flushed bool          // run wrote all lines; may be read once ended is closed

	mu      sync.Mutex
	queue   [][]byte          // guarded by mu; chunks of whole lines, the oldest first; new lines go into the last one
	spare   []byte            // guarded by mu; the next chunk, nil if it must be allocated
	lost    Loss              // guarded by mu; not reported yet
	dropped uint64            // guarded by mu
	onLoss  func(Loss) []byte // guarded by mu
}

// Start returns a Writer to out, which the caller closes. A line waits for the duration gather at most, so that it is
// written together with others; with 0, it does not wait.
func Start(out io.Writer, gather time.Duration) *Writer {
	w := &Writer{
		out: out, gather: gather, wake: make(chan struct{}, 1),
		closing: make(chan struct{}), expired: make(chan struct{}), ended: make(chan struct{}),
	}
	go w.run()
	return w
}

// OnLoss sets the function that reports a loss once the file accepts lines again. The Writer writes the text that the
// function returns in the place of the lost lines. The function must not write to w.
func (w *Writer) OnLoss(report func(Loss) []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onLoss = report
}

// Dropped returns the number of lines that were dropped so far.
func (w *Writer) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Write queues one line, or drops it. It neither waits for the file nor fails, and keeps no reference to the line.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost.Lines > 0 || !w.addLocked(line, maxChunks) {
		w.dropLocked()
	}
	return len(line), nil
}

// WriteReport queues one line even if the queue is full: reports of losses in other logs have a chunk of their own.
func (w *Writer) WriteReport(line []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.addLocked(line, maxChunks+1) {
		w.dropLocked()
	}
}

func (w *Writer) dropLocked() {
	if w.lost.Lines == 0 {
		w.lost.Since = time.Now()
	}
	w.lost.Lines++
	w.dropped++
}

// addLocked appends line to the queue, unless the queue would have more chunks than limit.
func (w *Writer) addLocked(line []byte, limit int) (added bool) {
	last := len(w.queue) - 1
	if last >= limit || len(line) > chunkSize {
		return false
	}
	if last < 0 || len(w.queue[last])+len(line) > chunkSize {
		if len(w.queue) == limit {
			return false
		}
		if w.spare == nil {
			w.spare = make([]byte, 0, chunkSize)
		}
		w.queue, w.spare, last = append(w.queue, w.spare), nil, last+1
		select {
		case w.wake <- struct{}{}:
		default: // run has not received the previous one yet
		}
	}
	w.queue[last] = append(w.queue[last], line...)
	return true
}

// run writes the queued lines until Close. Nothing else waits for the file.
func (w *Writer) run() {
	defer close(w.ended)
	for w.await() {
		lines, loss := w.take()
		if report := w.reportOf(loss); !w.deliver(report) || !w.deliver(lines) {
			return
		}
		w.reuse(lines)
	}
	w.flushed = true
}

// await waits until there are lines to write or a loss to report. It returns false after Close if there is nothing left.
func (w *Writer) await() bool {
	for {
		chunks, lost := w.waiting()
		var gathered <-chan time.Time
		switch {
		case chunks > 1, lost, chunks == 1 && w.gather == 0:
			return true
		case chunks == 1:
			gathered = time.After(w.gather)
		}
		select {
		case <-w.wake:
		case <-gathered:
			return true
		case <-w.closing:
			chunks, lost = w.waiting()
			return chunks > 0 || lost
		}
	}
}

func (w *Writer) waiting() (chunks int, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue), w.lost.Lines > 0
}

// take removes the oldest chunk from the queue. Once the queue is empty, take returns the loss that is to be reported, and
// the queue accepts lines again.
func (w *Writer) take() (lines []byte, loss Loss) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) > 0 {
		lines = w.queue[0]
		w.queue = slices.Delete(w.queue, 0, 1)
		return lines, Loss{}
	}
	loss, w.lost = w.lost, Loss{}
	return nil, loss
}

// reportOf returns the text that reports loss, nil if there is none.
func (w *Writer) reportOf(loss Loss) []byte {
	w.mu.Lock()
	report := w.onLoss
	w.mu.Unlock()
	if loss.Lines == 0 || report == nil {
		return nil
	}
	return report(loss)
}

// reuse keeps the memory of a chunk that was written.
func (w *Writer) reuse(chunk []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.spare == nil && chunk != nil {
		w.spare = chunk[:0]
	}
}

// deliver writes lines. If the file fails, deliver goes on where it failed, so that a half-written line is completed; a named
// pipe keeps what its reader left unread for the next one. deliver returns false if the file still fails after Close.
func (w *Writer) deliver(lines []byte) bool {
	for len(lines) > 0 {
		n, err := w.out.Write(lines[:atomicLen(lines)])
		lines = lines[n:]
		if err != nil && !w.pause(err) {
			return false
		}
	}
	return true
}

// atomicLen returns the length of the lines at the beginning of lines that atomicSize bytes contain, or of the first line if
// it is longer.
func atomicLen(lines []byte) int {
	if len(lines) <= atomicSize {
		return len(lines)
	}
	if end := bytes.LastIndexByte(lines[:atomicSize], '\n'); end >= 0 {
		return end + 1
	}
	if end := bytes.IndexByte(lines, '\n'); end >= 0 {
		return end + 1
	}
	return len(lines)
}

// pause waits for the next attempt after err. It returns false if there is none, because Close was called. A file that only
// has no space at the moment (EAGAIN) is tried until the limit of Close.
func (w *Writer) pause(err error) (again bool) {
	end := w.closing
	if errors.Is(err, syscall.EAGAIN) {
		end = w.expired
	}
	select {
	case <-time.After(retryInterval):
		return true
	case <-end:
		return false
	}
}

// Close writes the queued lines and ends the Writer, within limit. It returns false if lines are left. The goroutine of a
// Writer whose file does not accept them goes on until the process ends. The caller writes no line after Close.
func (w *Writer) Close(limit time.Duration) (flushed bool) {
	close(w.closing)
	select {
	case <-w.ended:
		return w.flushed
	case <-time.After(limit):
		close(w.expired)
		return false
	}
}
