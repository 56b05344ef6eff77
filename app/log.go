package app

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tether/config"
	"tether/logs"
)

// NewLogger returns a logger that writes to out.
func NewLogger(cfg config.Log, out io.Writer) (*zap.Logger, error) {
	sink := zapcore.Lock(zapcore.AddSync(out))
	core, err := newCore(cfg, sink)
	return zap.New(core, zap.ErrorOutput(sink)), err
}

// newCore returns the core of a logger that writes to sink. With an error it writes nothing.
func newCore(cfg config.Log, sink zapcore.WriteSyncer) (zapcore.Core, error) {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		return zapcore.NewNopCore(), err
	}
	fields := zap.NewProductionEncoderConfig()
	fields.TimeKey, fields.EncodeTime = "time", zapcore.ISO8601TimeEncoder
	fields.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(fields)
	if cfg.Format == "console" {
		encoder = zapcore.NewConsoleEncoder(fields)
	}
	return zapcore.NewCore(encoder, sink, level), nil
}

// changeableCore is a core that another one replaces while loggers use it.
type changeableCore struct{ now atomic.Pointer[zapcore.Core] }

// Enabled, With, Check, Write and Sync implement zapcore.Core.
func (c *changeableCore) Enabled(l zapcore.Level) bool { return (*c.now.Load()).Enabled(l) }

// With returns a core with these fields, which stays as it is now.
func (c *changeableCore) With(fields []zapcore.Field) zapcore.Core {
	return (*c.now.Load()).With(fields)
}

// Check adds the present core if it takes the entry.
func (c *changeableCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return (*c.now.Load()).Check(e, to)
}

// Write writes to the present core.
func (c *changeableCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return (*c.now.Load()).Write(e, fields)
}

// Sync syncs the present core.
func (c *changeableCore) Sync() error { return (*c.now.Load()).Sync() }

// gatherTime is how long lines of the access log wait for others, to be written together.
const gatherTime = time.Second

// Logs are the two logs of a process. Neither makes its callers wait.
type Logs struct {
	App        *zap.Logger
	Access     *logs.Writer
	app        *logs.Writer
	restoreStd func() // gives the package log its old output
	sink       zapcore.WriteSyncer
	core       changeableCore // of App
	cfg        atomic.Pointer[config.Log]
}

// OpenLogs returns the logs: tether's own in errOut, the access log in out. The caller closes them, and errOut after them.
// Until then, lines of Go's package log are in tether's log.
func OpenLogs(cfg config.Log, out io.Writer, errOut *logs.Writer) (*Logs, error) {
	l := &Logs{app: errOut, sink: zapcore.Lock(zapcore.AddSync(errOut))}
	if err := l.Use(cfg); err != nil {
		return nil, err
	}
	l.App = zap.New(&l.core, zap.ErrorOutput(l.sink))
	restore, err := zap.RedirectStdLogAt(l.App, zap.WarnLevel)
	if err != nil {
		return nil, err
	}
	l.Access, l.restoreStd = logs.Start(out, gatherTime), restore
	l.app.OnLoss(func(loss logs.Loss) []byte { return lossLine(*l.cfg.Load(), "app", loss) })
	l.Access.OnLoss(func(loss logs.Loss) []byte {
		l.app.WriteReport(lossLine(*l.cfg.Load(), "access", loss))
		return nil
	})
	return l, nil
}

// Use changes the level and the format of tether's own log from now on.
func (l *Logs) Use(cfg config.Log) error {
	core, err := newCore(cfg, l.sink)
	if err != nil {
		return err
	}
	l.core.now.Store(&core)
	l.cfg.Store(&cfg)
	return nil
}

// lossLine returns the line of tether's own log about a loss in the log called name. It is empty if the log's level
// excludes warnings.
func lossLine(cfg config.Log, name string, loss logs.Loss) []byte {
	var line bytes.Buffer
	if log, err := NewLogger(cfg, &line); err == nil {
		log.Warn("log lines dropped", zap.String("log", name), zap.Uint64("lines", loss.Lines), zap.Time("since", loss.Since))
	}
	return line.Bytes()
}

// Dropped returns the functions that count the dropped lines, for Env.Dropped.
func (l *Logs) Dropped() map[string]func() uint64 {
	return map[string]func() uint64{"access": l.Access.Dropped, "app": l.app.Dropped}
}

// Close writes what is left of the access log, within limit.
func (l *Logs) Close(limit time.Duration) {
	l.restoreStd()
	if !l.Access.Close(limit) {
		l.App.Warn("the last lines of the access log could not be written")
	}
}
