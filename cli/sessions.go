package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tether/admin/client"
)

// sessionStates are the pins of a session as the admin API shows them.
type sessionStates struct {
	Sessions []struct {
		Session  string `json:"session"`
		Model    string `json:"model"`
		Upstream string `json:"upstream"`
		State    string `json:"state"`
		From     string `json:"from"`
	} `json:"sessions"`
}

type sessionOptions struct {
	adminOptions
	model string
	to    string
}

func sessionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "sessions", Short: "show, move or forget the pins of a session",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("unknown command %q: see tether sessions --help", args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(
		sessionCommand("get", http.MethodGet, "show where a session is pinned"),
		sessionCommand("move", http.MethodPost, "pin a session to another upstream, under all models; its next request goes there"),
		sessionCommand("forget", http.MethodDelete, "drop the pins of a session; its next request is that of a new session"),
	)
	return cmd
}

// sessionCommand is a command about one session. The admin API takes move at a path of its own.
func sessionCommand(verb, method, short string) *cobra.Command {
	var o sessionOptions
	usage := verb + " {SESSION_ID | -} [--model M]"
	if verb == "move" {
		usage = "move {SESSION_ID | -} --to UPSTREAM [--model M]"
	}
	cmd := &cobra.Command{
		Use: usage, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := o.request(cmd, verb, method, args)
			if err != nil {
				return err
			}
			var found sessionStates
			if err := o.call(cmd.Context(), r, &found); err != nil {
				return err
			}
			return found.print(cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	o.add(flags)
	flags.StringVar(&o.model, "model", "", "the session's model; default: all known models")
	if verb == "move" {
		flags.StringVar(&o.to, "to", "", "`NAME` of the upstream")
	}
	return cmd
}

func (o *sessionOptions) request(cmd *cobra.Command, verb, method string, args []string) (r client.Request, err error) {
	if len(args) != 1 {
		return r, usageError("want one SESSION_ID, or - to read it from standard input: see %s --help", cmd.CommandPath())
	}
	id, err := readID(cmd.InOrStdin(), args[0])
	if err != nil {
		return r, err
	}
	if id == "." || id == ".." {
		return r, usageError("%q is a step in a path, not a session id that the admin listener can be asked for", id)
	}
	r = client.Request{Method: method, Path: "/api/sessions/" + url.PathEscape(id), Query: url.Values{}}
	if cmd.Flags().Changed("model") {
		r.Query.Set("model", o.model)
	}
	if verb == "move" {
		if o.to == "" {
			return r, usageError("want --to NAME: tether upstreams lists them")
		}
		r.Path += "/move"
		r.Query.Set("to", o.to)
	}
	return r, nil
}

func (s *sessionStates) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tMODEL\tUPSTREAM\tSTATE\tFROM")
	for _, one := range s.Sessions {
		cells := []string{printable(one.Session), printable(one.Model), printable(one.Upstream), printable(one.State), printable(one.From)}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return w.Flush()
}
