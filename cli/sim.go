package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tether/app"
	"tether/sim"
)

func simCommand(errOut io.Writer) *cobra.Command {
	var cfg sim.Config
	var listen string
	cmd := &cobra.Command{
		Use:   "sim --listen :8000",
		Short: "run one simulated vLLM server, to try tether without a GPU",
		Long: "Run one simulated vLLM server: its API and streams, a prefix cache, and the time that prompts take.\n" +
			"The request header X-Sim-Fault, or POST /sim/fault, makes it misbehave. SIGTERM drains it as it drains vLLM. SIGINT\n" +
			"drains it too, and closes the port at once. A second signal cuts all requests.",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := cfg.Validate(); err != nil {
				return app.UsageError{Err: err}
			}
			shutdown, stop := untilSignal(func() {})
			defer stop()
			logf := func(format string, args ...any) { fmt.Fprintf(errOut, "sim: "+format+"\n", args...) }
			err := sim.Run(shutdown.Graceful, shutdown.Immediate, shutdown.Delayed, cfg, listen, logf)
			if err != nil {
				return app.ListenError("listen", listen, err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	d := sim.Default()
	flags.StringVar(&listen, "listen", ":8000", "HOST:PORT, or unix:/PATH")
	flags.StringVar(&cfg.Name, "name", "", "name in the answers' X-Sim-Server")
	flags.StringSliceVar(&cfg.Models, "model", d.Models, "models to serve, comma-separated")
	flags.DurationVar(&cfg.PrefillPerToken, "prefill", 50*time.Microsecond, "time for each prompt token that is not cached")
	flags.DurationVar(&cfg.DecodePerToken, "decode", 10*time.Millisecond, "time for each token of an answer")
	flags.IntVar(&cfg.MaxSeqs, "max-num-seqs", d.MaxSeqs, "requests that run at once; the others wait")
	flags.IntVar(&cfg.CacheBlocks, "num-gpu-blocks", d.CacheBlocks, "size of the prefix cache in blocks")
	flags.IntVar(&cfg.BlockSize, "block-size", d.BlockSize, "tokens in a block")
	flags.IntVar(&cfg.Ranks, "data-parallel-size", d.Ranks, "data-parallel ranks, each with a cache of its own; X-data-parallel-rank names one")
	flags.BoolVar(&cfg.SleepMode, "enable-sleep-mode", false, "add /sleep, /wake_up and /is_sleeping")
	flags.StringVar(&cfg.APIKey, "api-key", "", "API key that requests must have")
	return cmd
}
