package cli

import (
	"github.com/spf13/cobra"

	"tether/app"
	"tether/config"
	"tether/logs"
)

func runCommand(version string, errOut *logs.Writer) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "run [-c config.yaml] [--upstream URL]...",
		Short: "serve clients",
		Long: "Serve clients. The file overrides the defaults, TETHER_* in the environment override the file, and flags override\n" +
			"everything. SIGTERM stops tether gracefully after proxy.shutdown_delay, SIGINT without the delay. A second signal\n" +
			"stops it at once. A change of the configuration and SIGHUP load it again.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			memory := app.LimitMemory()
			cfg, err := o.load(cmd.Flags(), memory)
			if err != nil {
				return err
			}
			logs.Harden()
			logs, err := app.OpenLogs(cfg.Log, cmd.OutOrStdout(), errOut)
			if err != nil {
				return err
			}
			defer logs.Close(logTime)
			hangUp := make(chan struct{}, 1)
			shutdown, stop := untilSignal(func() {
				select {
				case hangUp <- struct{}{}:
				default: // a reload is wanted already
				}
			})
			defer stop()
			env := app.Env{
				Version: version, Memory: memory, Log: logs.App, Access: logs.Access, Dropped: logs.Dropped(), UseLog: logs.Use,
				Load: func() (*config.Config, error) { return o.load(cmd.Flags(), memory) }, HangUp: hangUp,
			}
			return app.Run(shutdown, cfg, env, nil)
		},
	}
	o.add(cmd.Flags())
	return cmd
}
