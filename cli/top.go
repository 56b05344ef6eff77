package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"tether/admin/client"
	"tether/demo"
	"tether/status"
	"tether/top"
)

const topLong = `Show the upstreams of a running tether with their figures, and recent events, refreshed each second: what the status page
shows, for those on a host without a browser. Live conversations were used within the last minute. WORK is the work that
waits, P50 and P99 are times to the first byte, HIT is the share of prompt tokens from the cache, and ERR counts failed
attempts and answers of 500 and more; these are of the last minute. RUN, WAIT and KV are what vLLM says of its engine.

If standard output is no terminal, the command prints the status once.`

func topCommand() *cobra.Command {
	var o adminOptions
	cmd := &cobra.Command{
		Use: "top", Short: "watch the upstreams and events of a running tether", Long: topLong, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTop(cmd, &o) },
	}
	o.add(cmd.Flags())
	return cmd
}

func runTop(cmd *cobra.Command, o *adminOptions) error {
	ask := func(ctx context.Context) (s status.Status, err error) {
		err = o.call(ctx, client.Request{Method: http.MethodGet, Path: "/api/status"}, &s)
		return s, err
	}
	first, err := ask(cmd.Context())
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if columns(out) == 0 {
		return printTop(out, first)
	}
	return top.Run(cmd.Context(), ask, first, cmd.InOrStdin(), out)
}

// styles are the escape sequences of the styles of package top.
var styles = regexp.MustCompile("\x1b\\[[0-9]*m")

// printTop prints a status once, without styles and without the help of the keys.
func printTop(out io.Writer, s status.Status) error {
	v := top.View{Status: s, Width: 4 * demo.Page}
	lines := v.Lines()
	_, err := fmt.Fprintln(out, styles.ReplaceAllString(strings.Join(lines[:len(lines)-1], "\n"), ""))
	return err
}
