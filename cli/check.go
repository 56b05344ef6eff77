package cli

import (
	"io"

	"github.com/spf13/cobra"

	"tether/app"
)

func checkCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "check -c config.yaml",
		Short: "print the configuration in force, or everything that is wrong with it",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load(cmd.Flags(), app.LimitMemory())
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
