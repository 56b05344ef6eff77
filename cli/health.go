package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"tether/admin/client"
	"tether/config"
)

// healthTime limits tether health: a process that takes longer to answer is not ready.
const healthTime = 3 * time.Second

func healthCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "health [-c config.yaml]",
		Short: "exit 0 if the tether on this host is ready, for a container's health check",
		Long: "Ask the admin listener on this host whether tether is ready. The exit code is 0 if it is. Otherwise it is 1,\n" +
			"and a line says why. As for run, the address comes from the file, TETHER_ADMIN_LISTEN, or --admin-listen.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			listen, err := config.AdminListen(o.source(cmd.Flags()))
			if err != nil {
				return errors.New(err.Error()) // exit 1 like all other errors: Docker reserves 2
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTime)
			defer cancel()
			return askReady(ctx, listen)
		},
	}
	o.addFile(cmd.Flags())
	o.addAdmin(cmd.Flags())
	return cmd
}

// askReady asks the admin listener on listen. It returns nil if tether is ready, or else why it is not.
func askReady(ctx context.Context, listen string) error {
	c, err := client.Local(listen)
	if err != nil {
		return err
	}
	status, _, err := c.Do(ctx, client.Request{Method: http.MethodGet, Path: "/readyz"})
	switch {
	case err != nil:
		return fmt.Errorf("not ready: %s: %w", listen, err)
	case status == http.StatusOK:
		return nil
	case status == http.StatusServiceUnavailable:
		return fmt.Errorf("not ready: %s: no upstream is up, or it is shutting down", listen)
	}
	return fmt.Errorf("not ready: %s: answered %d, is that tether's admin listener?", listen, status)
}
