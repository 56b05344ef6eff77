// Package accesslog writes one line of JSON a request, with fixed keys, for those who keep and search such lines. It
// listens to proxy.
//
// It shows hashes of session ids, never ids; no query, no header and no word of a body but the model's name.
package accesslog

import (
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tether/proxy"
	"tether/session"
)

// Log writes the lines that its Mode asks for. Its methods may be called from any goroutine.
type Log struct {
	mode  Mode
	out   *zapcore.BufferedWriteSyncer
	log   *zap.Logger
	count atomic.Uint64
}

// Lines are written together: at the latest after flushEvery, and when flushSize bytes are there.
const (
	flushEvery = time.Second
	flushSize  = 64 << 10
)

// New makes a log to out. Close writes what is left.
func New(mode Mode, out io.Writer) *Log {
	l := &Log{mode: mode}
	if mode == (Mode{}) {
		return l
	}
	plain := struct{ io.Writer }{out} // pipes cannot be synced
	l.out = &zapcore.BufferedWriteSyncer{WS: zapcore.AddSync(plain), Size: flushSize, FlushInterval: flushEvery}
	fields := zapcore.EncoderConfig{
		TimeKey: "time", EncodeTime: zapcore.RFC3339NanoTimeEncoder, EncodeDuration: zapcore.SecondsDurationEncoder,
		LineEnding: zapcore.DefaultLineEnding,
	}
	l.log = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(fields), l.out, zapcore.InfoLevel))
	return l
}

// Close writes the lines that were not written yet.
func (l *Log) Close() error {
	if l.out == nil {
		return nil
	}
	return l.out.Stop()
}

// Done writes the line of a request that is over. It is for proxy.Deps.OnDone.
func (l *Log) Done(r *proxy.Record) {
	if !l.wants(r) {
		return
	}
	if line := l.log.Check(zapcore.InfoLevel, ""); line != nil {
		line.Time = r.Started
		room := rooms.Get().(*[]zap.Field)
		*room = appendFields((*room)[:0], r)
		line.Write(*room...)
		clear(*room)
		rooms.Put(room)
	}
}

// rooms are for the fields of a line: making them anew would be most of what a line costs.
var rooms = sync.Pool{New: func() any { return new([]zap.Field) }}

// wants reports whether the mode asks for the request's line: of a sample it asks for all that went wrong as well.
func (l *Log) wants(r *proxy.Record) bool {
	switch {
	case l.mode.every == 0:
		return false
	case r.Status >= 400 || r.Reason != "":
		return true
	}
	return !l.mode.errors && l.count.Add(1)%l.mode.every == 0
}

// maxText bounds what a client may write into a line, in bytes.
const maxText = 256

func appendFields(to []zap.Field, r *proxy.Record) []zap.Field {
	upstream, hash := "", ""
	if r.Upstream != nil {
		upstream = r.Upstream.Name()
	}
	if r.Key != (session.Key{}) {
		hash = r.Key.String()
	}
	return append(to,
		text("method", r.Method), path(r), text("model", r.Model),
		zap.Int("status", r.Status), zap.String("reason", r.Reason), zap.String("outcome", r.Outcome.String()),
		zap.String("key", r.Caller), zap.String("id_source", r.IDSource()), zap.String("id_hash", hash),
		zap.String("upstream", upstream), zap.Int("attempts", r.Attempts),
		zap.Int64("bytes_in", r.BytesIn), zap.Int64("bytes_out", r.BytesOut),
		zap.Duration("ttfb", r.FirstByte), zap.Duration("duration", r.Duration),
		zap.Int("prompt_tokens", r.PromptTokens), zap.Int("cached_tokens", r.CachedTokens),
		text("request_id", r.RequestID), text("trace_id", r.TraceID),
	)
}

// path is the path of the allowlist, for those that are sent may hold the ids of responses; where there is none, the
// beginning of the one that was sent.
func path(r *proxy.Record) zap.Field {
	if strings.HasPrefix(r.Route, "/") {
		return zap.String("path", r.Route)
	}
	if n := min(namesIn(r.Path), maxText); n < len(r.Path) {
		return zap.String("path", string(r.Path[:n])+"...")
	}
	return text("path", r.Path)
}

// namesIn is the length of the part of a path that no id is in: those come behind two names. A byte that could be another
// one's disguise ends it too.
func namesIn(path []byte) int {
	slashes := 0
	for i, c := range path {
		switch {
		case c == '/':
			if slashes++; slashes == 3 {
				return i + 1
			}
		case c != '.' && c != '_' && c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z'):
			return i
		}
	}
	return len(path)
}

// text is a field of a client's bytes, at most maxText of them. The encoder escapes what is not to be read.
func text(key string, b []byte) zap.Field { return zap.ByteString(key, b[:min(len(b), maxText)]) }

// Mode says which requests have a line: all, errors, off, or one in N and all errors.
type Mode struct {
	every  uint64 // 0 for none
	errors bool   // no others
}

// ParseMode reads all, errors, off or 1/N.
func ParseMode(s string) (m Mode, ok bool) {
	switch s {
	case "all":
		return Mode{every: 1}, true
	case "errors":
		return Mode{every: 1, errors: true}, true
	case "off":
		return Mode{}, true
	}
	digits, isPart := strings.CutPrefix(s, "1/")
	n, err := strconv.ParseUint(digits, 10, 32)
	return Mode{every: n}, isPart && err == nil && n > 0
}
