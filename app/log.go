package app

import (
	"bytes"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tether/config"
	"tether/logs"
)

// NewLogger returns the process's logger, which writes to out.
func NewLogger(cfg config.Log, out io.Writer) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		return nil, err
	}
	fields := zap.NewProductionEncoderConfig()
	fields.TimeKey, fields.EncodeTime = "time", zapcore.ISO8601TimeEncoder
	fields.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(fields)
	if cfg.Format == "console" {
		encoder = zapcore.NewConsoleEncoder(fields)
	}
	sink := zapcore.Lock(zapcore.AddSync(out))
	return zap.New(zapcore.NewCore(encoder, sink, level), zap.ErrorOutput(sink)), nil
}

// gatherTime is how long lines of the access log wait for others, to be written together.
const gatherTime = time.Second

// Logs are the two logs of a process. Neither makes its callers wait.
type Logs struct {
	App        *zap.Logger
	Access     *logs.Writer
	app        *logs.Writer
	restoreStd func() // gives the package log its old output
}

// OpenLogs returns the logs: tether's own in errOut, the access log in out. The caller closes them, and errOut after them.
// Until then, lines of Go's package log are in tether's log.
func OpenLogs(cfg config.Log, out io.Writer, errOut *logs.Writer) (*Logs, error) {
	log, err := NewLogger(cfg, errOut)
	if err != nil {
		return nil, err
	}
	restore, err := zap.RedirectStdLogAt(log, zap.WarnLevel)
	if err != nil {
		return nil, err
	}
	l := &Logs{App: log, Access: logs.Start(out, gatherTime), app: errOut, restoreStd: restore}
	l.app.OnLoss(func(loss logs.Loss) []byte { return lossLine(cfg, "app", loss) })
	l.Access.OnLoss(func(loss logs.Loss) []byte {
		l.app.WriteReport(lossLine(cfg, "access", loss))
		return nil
	})
	return l, nil
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
