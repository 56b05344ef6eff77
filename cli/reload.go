package cli

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"tether/admin"
	"tether/admin/client"
)

func reloadCommand() *cobra.Command {
	var o adminOptions
	cmd := &cobra.Command{
		Use: "reload", Short: "let a running tether load its configuration again, and wait until it is in force", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var done admin.Reloaded
			if err := o.call(cmd.Context(), client.Request{Method: http.MethodPost, Path: "/api/reload"}, &done); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if len(done.Changed) == 0 {
				fmt.Fprintln(out, "reloaded: nothing has changed")
			} else {
				fmt.Fprintln(out, "reloaded: "+printable(strings.Join(done.Changed, ", ")))
			}
			for _, key := range done.NeedRestart {
				fmt.Fprintln(out, "needs a restart: "+printable(key))
			}
			for _, w := range done.Warnings {
				fmt.Fprintln(out, "warning: "+printable(w))
			}
			return nil
		},
	}
	o.add(cmd.Flags())
	return cmd
}
