package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tether/config"
	"tether/sim"
)

// version is set by the build.
var version = "dev"

// options are the flags of commands that work with a configuration.
type options struct {
	file      string
	listen    string
	admin     string
	upstreams []string
	affinity  string
	logLevel  string
}

func (o *options) add(flags *pflag.FlagSet) {
	flags.StringVarP(&o.file, "config", "c", "", "configuration file (YAML); default: $"+config.FileVariable)
	flags.StringVar(&o.listen, "listen", ":8080", "where clients are served")
	flags.StringVar(&o.admin, "admin-listen", "127.0.0.1:8081", "where operators are served")
	flags.StringArrayVar(&o.upstreams, "upstream", nil, "URL of a vLLM server, http://HOST:PORT; once for each")
	flags.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&o.affinity, "affinity", "on", "on, or off: round robin, for comparison")
}

// source is what the configuration is loaded from: file, environment and those flags that were given.
func (o *options) source(flags *pflag.FlagSet) config.Source {
	src := config.Source{File: o.file, Environ: os.Environ(), Upstreams: o.upstreams}
	for _, f := range []struct{ name, path, value string }{
		{"listen", "listen", o.listen},
		{"admin-listen", "admin.listen", o.admin},
		{"log-level", "log.level", o.logLevel},
	} {
		if flags.Changed(f.name) {
			src.Flags = append(src.Flags, config.Flag{Name: "--" + f.name, Path: f.path, Value: f.value})
		}
	}
	src.Affinity = o.affinity
	return src
}

// load gives the configuration.
func (o *options) load(flags *pflag.FlagSet, memory int64) (*config.Config, error) {
	src := o.source(flags)
	src.Memory = memory
	return config.Load(src)
}

func runCommand(errOut io.Writer) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "run [-c config.yaml] [--upstream URL]...",
		Short: "serve clients",
		Long: "Serve clients: defaults, then the file, then TETHER_* from the environment, then flags.\n" +
			"SIGTERM stops in good order, SIGINT likewise but without the delay, a second one at once.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			memory := limitMemory()
			cfg, err := o.load(cmd.Flags(), memory)
			if err != nil {
				return err
			}
			log, err := newLogger(cfg.Log, errOut)
			if err != nil {
				return err
			}
			defer func() { _ = log.Sync() }() // standard error cannot be synced everywhere
			l, stop := untilSignal(func() { log.Info("SIGHUP ignored: a change of the configuration needs a restart") })
			defer stop()
			return run(l, cfg, memory, outputs{log: log, access: cmd.OutOrStdout()}, nil)
		},
	}
	o.add(cmd.Flags())
	return cmd
}

func checkCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "check -c config.yaml",
		Short: "print the configuration in force, or everything that is wrong with it",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load(cmd.Flags(), limitMemory())
			if err != nil {
				return err
			}
			text, err := cfg.Effective()
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text)
			return err
		},
	}
	o.add(cmd.Flags())
	return cmd
}

// newLogger makes the process's logger.
func newLogger(cfg config.Log, out io.Writer) (*zap.Logger, error) {
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
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(out)), level)), nil
}

func simCommand(errOut io.Writer) *cobra.Command {
	var cfg sim.Config
	var listen string
	cmd := &cobra.Command{
		Use:   "sim --listen :8000",
		Short: "run one simulated vLLM server, to try tether without a GPU",
		Long: "Run one simulated vLLM server: its API, its streams, a prefix cache and the time that prompts take.\n" +
			"A request header X-Sim-Fault, or POST /sim/fault, makes it misbehave. SIGTERM drains it as it drains vLLM, SIGINT without\n" +
			"vLLM's wait for latecomers, and a second signal ends it at once.",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := cfg.Validate(); err != nil {
				return usageError{err}
			}
			l, stop := untilSignal(func() {})
			defer stop()
			end := sim.End{Wanted: l.wanted, Hasty: func() bool { return !l.delayed() }, Needed: l.needed}
			err := sim.Run(end, cfg, listen, func(format string, args ...any) { fmt.Fprintf(errOut, "sim: "+format+"\n", args...) })
			if err != nil {
				return listenError("listen", listen, err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	d := sim.Default()
	flags.StringVar(&listen, "listen", ":8000", "HOST:PORT, or unix:/PATH")
	flags.StringVar(&cfg.Name, "name", "", "name to answer with in X-Sim-Server")
	flags.StringSliceVar(&cfg.Models, "model", d.Models, "models to serve, comma-separated")
	flags.DurationVar(&cfg.PrefillPerToken, "prefill", 50*time.Microsecond, "time for each prompt token that is not cached")
	flags.DurationVar(&cfg.DecodePerToken, "decode", 10*time.Millisecond, "time for each token of an answer")
	flags.IntVar(&cfg.MaxSeqs, "max-num-seqs", d.MaxSeqs, "requests that run at once; the others wait")
	flags.IntVar(&cfg.CacheBlocks, "num-gpu-blocks", d.CacheBlocks, "size of the prefix cache in blocks")
	flags.IntVar(&cfg.BlockSize, "block-size", d.BlockSize, "tokens in a block")
	flags.IntVar(&cfg.Ranks, "data-parallel-size", d.Ranks, "data-parallel ranks, each with a cache of its own; X-data-parallel-rank names one")
	flags.StringVar(&cfg.APIKey, "api-key", "", "key that requests must have")
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "tether %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, only flags: see %s --help", cmd.CommandPath(), cmd.CommandPath())}
	}
	return nil
}
