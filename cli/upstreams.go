package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tether/admin/client"
)

// upstreamState is an upstream as the admin API shows it.
type upstreamState struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Slot     int    `json:"slot"`
	Weight   int    `json:"weight"`
	InFlight int64  `json:"in_flight"`
	Pins     int    `json:"pins"`
	Active   int    `json:"active"`
	Drain    *struct {
		Drained      bool  `json:"drained"`
		RequestsLeft int64 `json:"requests_left"`
		SessionsLeft int   `json:"sessions_left"`
	} `json:"drain"`
}

// upstreamStates is one upstream, or the ranks of a server.
type upstreamStates []upstreamState

// UnmarshalJSON reads one upstream, or a list under the key upstreams.
func (s *upstreamStates) UnmarshalJSON(text []byte) error {
	var list struct {
		Upstreams *[]upstreamState `json:"upstreams"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	if list.Upstreams != nil {
		*s = *list.Upstreams
		return nil
	}
	*s = make(upstreamStates, 1)
	return json.Unmarshal(text, &(*s)[0])
}

func upstreamsCommand() *cobra.Command {
	var o adminOptions
	cmd := &cobra.Command{
		Use: "upstreams", Short: "list the upstreams of a running tether", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all upstreamStates
			if err := o.call(cmd.Context(), client.Request{Method: http.MethodGet, Path: "/api/upstreams"}, &all); err != nil {
				return err
			}
			return all.print(cmd.OutOrStdout())
		},
	}
	o.add(cmd.Flags())
	return cmd
}

func (s upstreamStates) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tSLOT\tWEIGHT\tIN FLIGHT\tPINS\tACTIVE\tREASON")
	for _, u := range s {
		cells := []string{
			printable(u.Name), printable(u.State), strconv.Itoa(u.Slot), strconv.Itoa(u.Weight), strconv.FormatInt(u.InFlight, 10),
			strconv.Itoa(u.Pins), strconv.Itoa(u.Active), printable(u.Reason),
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return w.Flush()
}

const drainLong = `Keep new conversations away from an upstream, or from all ranks of a server. --move says which pinned conversations move to
another upstream with their next request: never, none of them; idle, those that were silent for session.drain_idle, and after
--within all of them; now, all of them.

With --wait, the command returns when the upstream is drained: no request is in flight, and no conversation that would
return was used within session.drain_idle. It then prints what was left while it waited, and exits with 1 if the time is
over before. --move is then idle, and --within half of the time, unless given. As a preStop hook:

  tether drain vllm-3 --wait 10m`

type drainOptions struct {
	adminOptions
	move   string
	within time.Duration
	wait   time.Duration
}

func drainCommand() *cobra.Command {
	var o drainOptions
	cmd := &cobra.Command{
		Use: "drain NAME [--move never|idle|now] [--wait 10m]", Short: "empty an upstream, and wait until it is empty", Long: drainLong,
		Args: oneUpstream,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	o.add(flags)
	flags.StringVar(&o.move, "move", "never", "which pinned conversations move: never, idle or now")
	flags.DurationVar(&o.within, "within", 10*time.Minute, "with --move idle: when all conversations move")
	flags.DurationVar(&o.wait, "wait", 0, "wait up to this time until the upstream is drained")
	return cmd
}

func undrainCommand() *cobra.Command {
	var o adminOptions
	cmd := &cobra.Command{
		Use: "undrain NAME", Short: "end a drain", Args: oneUpstream,
		RunE: func(cmd *cobra.Command, args []string) error {
			var all upstreamStates
			if err := o.call(cmd.Context(), upstreamCommand(args[0], "undrain", nil), &all); err != nil {
				return err
			}
			return all.print(cmd.OutOrStdout())
		},
	}
	o.add(cmd.Flags())
	return cmd
}

// oneUpstream wants the name of an upstream as the only argument.
func oneUpstream(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError("want the NAME of one upstream: tether upstreams lists them, see %s --help", cmd.CommandPath())
	}
	return nil
}

// upstreamCommand is a command to an upstream, or to a server.
func upstreamCommand(name, verb string, query url.Values) client.Request {
	return client.Request{Method: http.MethodPost, Path: "/api/upstreams/" + url.PathEscape(name) + "/" + verb, Query: query}
}

func (o *drainOptions) run(cmd *cobra.Command, name string) error {
	given := cmd.Flags().Changed
	if o.wait < 0 || o.within < 0 {
		return usageError("--wait and --within: want durations such as 10m")
	}
	if o.wait > 0 && !given("move") {
		o.move = "idle"
	}
	if given("within") && o.move != "idle" {
		return usageError("--within goes with --move idle")
	}
	if o.wait > 0 && !given("within") {
		o.within = o.wait / 2
	}
	query := url.Values{"move": {o.move}}
	if o.move == "idle" {
		query.Set("within", o.within.String())
	}
	var all upstreamStates
	if err := o.call(cmd.Context(), upstreamCommand(name, "drain", query), &all); err != nil {
		return err
	}
	if o.wait == 0 {
		return all.print(cmd.OutOrStdout())
	}
	return o.await(cmd, name, all)
}

var errUndrained = errors.New("another command has ended the drain")

// pollEvery is how often a drain is looked at.
const pollEvery = time.Second

// await waits until all upstreams of the name are drained. A tether that does not answer for a moment is asked again.
func (o *drainOptions) await(cmd *cobra.Command, name string, all upstreamStates) error {
	over := time.Now().Add(o.wait)
	said := ""
	var failure error
	for {
		if failure == nil {
			left, drained := all.left()
			if drained {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is drained\n", printable(name))
				return err
			}
			if left != said {
				fmt.Fprintln(cmd.OutOrStdout(), left)
				said = left
			}
		}
		if pause := min(pollEvery, time.Until(over)); pause > 0 {
			if err := sleep(cmd.Context(), pause); err != nil {
				return err
			}
		} else if failure != nil {
			return failure
		} else {
			return fmt.Errorf("%s is not drained after %v: %s", printable(name), o.wait, said)
		}
		if all, failure = o.look(cmd.Context(), name); errors.Is(failure, errUndrained) {
			return fmt.Errorf("%s: %w", printable(name), failure)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// look returns the upstreams of the name. It is an error if there are none any more, or if one does not drain any more.
func (o *drainOptions) look(ctx context.Context, name string) (found upstreamStates, err error) {
	var all upstreamStates
	if err := o.call(ctx, client.Request{Method: http.MethodGet, Path: "/api/upstreams"}, &all); err != nil {
		return nil, err
	}
	for _, u := range all {
		if u.Name != name && !strings.HasPrefix(u.Name, name+"@") {
			continue
		}
		if u.Drain == nil {
			return nil, errUndrained
		}
		found = append(found, u)
	}
	return found, nil // an upstream that was removed meanwhile is drained
}

// left says what is left at upstreams that drain, and whether they are drained.
func (s upstreamStates) left() (text string, drained bool) {
	var requests int64
	sessions := 0
	drained = true
	for _, u := range s {
		if u.Drain != nil {
			requests += u.Drain.RequestsLeft
			sessions += u.Drain.SessionsLeft
			drained = drained && u.Drain.Drained
		}
	}
	return fmt.Sprintf("%d requests in flight, %d conversations active", requests, sessions), drained
}
