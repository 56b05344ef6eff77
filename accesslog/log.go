// Package accesslog writes one line of JSON for each completed request, always with the same keys. The proxy calls it.
//
// A line shows hashes of session ids, never the ids. The only part of a body that it shows is the name of the model; of
// the header fields it shows X-Request-Id and the trace id. It never shows the query.
package accesslog

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tether/proxy"
)

// Log writes the lines that its Mode selects. All its methods are safe for concurrent use.
type Log struct {
	mode  atomic.Pointer[Mode]
	log   *zap.Logger
	count atomic.Uint64
}

// New returns a log that writes to out: one call of Write for each line, which must not wait.
func New(mode Mode, out io.Writer) *Log {
	l := &Log{}
	l.Use(mode)
	format := zapcore.EncoderConfig{
		TimeKey: "time", EncodeTime: zapcore.RFC3339NanoTimeEncoder, EncodeDuration: zapcore.SecondsDurationEncoder,
		LineEnding: zapcore.DefaultLineEnding,
	}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(format), zapcore.AddSync(out), zapcore.InfoLevel)
	l.log = zap.New(core, zap.ErrorOutput(zapcore.AddSync(io.Discard))) // the default, os.Stderr, may wait
	return l
}

// Use selects by another mode from now on.
func (l *Log) Use(mode Mode) { l.mode.Store(&mode) }

// Done writes the line of a completed request, if the mode selects it. It is for proxy.Deps.OnDone.
func (l *Log) Done(r *proxy.Record) {
	if !l.selects(r) {
		return
	}
	if line := l.log.Check(zapcore.InfoLevel, ""); line != nil {
		line.Time = r.Started
		fields := fieldBuffers.Get().(*[]zap.Field)
		*fields = appendFields((*fields)[:0], r)
		line.Write(*fields...)
		clear(*fields)
		fieldBuffers.Put(fields)
	}
}

// fieldBuffers are reused for the fields of a line. Allocating them for each line would be most of its cost.
var fieldBuffers = sync.Pool{New: func() any { return new([]zap.Field) }}

// selects reports whether the mode asks for the line of r. A sampling mode always selects requests that failed.
func (l *Log) selects(r *proxy.Record) bool {
	mode := l.mode.Load()
	switch {
	case mode.every == 0:
		return false
	case r.Status >= 400 || r.Reason != "":
		return true
	}
	return !mode.errorsOnly && l.count.Add(1)%mode.every == 0
}

// maxText is how many bytes of each text from a client appear in a line.
const maxText = 256

func appendFields(to []zap.Field, r *proxy.Record) []zap.Field {
	upstream, hash := "", ""
	if r.Upstream != nil {
		upstream = r.Upstream.Name()
	}
	if !r.Key.IsZero() {
		hash = r.Key.String()
	}
	return append(to,
		text("method", r.Method), path(r), text("model", r.Model),
		zap.Int("status", r.Status), zap.String("reason", r.Reason), zap.String("outcome", r.Outcome.String()), zap.String("away", r.Away.String()),
		zap.String("key", r.Caller), zap.String("id_source", r.IDSource()), zap.String("id_hash", hash),
		zap.String("upstream", upstream), zap.Int("attempts", r.Attempts),
		zap.Int64("bytes_in", r.BytesIn), zap.Int64("bytes_out", r.BytesOut),
		zap.Duration("ttfb", r.FirstByte), zap.Duration("duration", r.Duration),
		zap.Int("prompt_tokens", r.PromptTokens), zap.Int("cached_tokens", r.CachedTokens),
		zap.String("fate", r.Fates.Word()), zap.String("moved_by", r.Fates.Reason.String()), zap.Int64("expected_tokens", r.Fates.Expected), zap.Int64("lost_tokens", r.Fates.Lost),
		text("request_id", r.RequestID), text("trace_id", r.TraceID),
	)
}

// path is the allowlist's form of the path, because the path that was sent may contain the id of a response. If no
// allowlist entry matched, path is the part of the sent path that cannot contain an id.
func path(r *proxy.Record) zap.Field {
	if strings.HasPrefix(r.Route, "/") {
		return zap.String("path", r.Route)
	}
	if n := min(lenWithoutID(r.Path), maxText); n < len(r.Path) {
		return zap.String("path", string(r.Path[:n])+"...")
	}
	return text("path", r.Path)
}

// lenWithoutID returns the length of the prefix of path that cannot contain an id: the first two names, or less if a byte
// appears that could be a disguised slash.
func lenWithoutID(path []byte) int {
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

// text is a field with at most maxText bytes from a client. The encoder escapes control characters.
func text(key string, b []byte) zap.Field { return zap.ByteString(key, b[:min(len(b), maxText)]) }
