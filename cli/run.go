package cli

import (
	"io"

	"github.com/spf13/cobra"

	"tether/app"
)

func runCommand(version string, errOut io.Writer) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "run [-c config.yaml] [--upstream URL]...",
		Short: "serve clients",
		Long: "Serve clients: defaults, then the file, then TETHER_* from the environment, then flags.\n" +
			"SIGTERM stops in good order, SIGINT likewise but without the delay, a second one at once.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			memory := app.LimitMemory()
			cfg, err := o.load(cmd.Flags(), memory)
			if err != nil {
				return err
			}
			log, err := app.NewLogger(cfg.Log, errOut)
			if err != nil {
				return err
			}
			defer func() { _ = log.Sync() }() // standard error cannot be synced everywhere
			shutdown, stop := untilSignal(func() { log.Info("SIGHUP ignored: a change of the configuration needs a restart") })
			defer stop()
			env := app.Env{Version: version, Memory: memory, Log: log, Access: cmd.OutOrStdout()}
			return app.Run(shutdown, cfg, env, nil)
		},
	}
	o.add(cmd.Flags())
	return cmd
}
