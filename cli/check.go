package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tether/admin"
	"tether/app"
	"tether/config"
	"tether/preview"
)

const checkLong = `Print the configuration in force, or everything that is wrong with it. With --against, print what a reload with the
configuration would do to the tether whose admin listener is at URL: the upstreams that come and go, the share of homes and the
sessions that move, the keys that need a restart, and the slots that keep more homes where they are. It changes nothing. The sources of
discovery: are asked from this machine, for up to 5 seconds; a source that does not answer is an error.`

func checkCommand() *cobra.Command {
	var o options
	var against adminOptions
	cmd := &cobra.Command{
		Use:   "check -c config.yaml [--against ADMIN_URL]",
		Short: "print the configuration in force, or everything that is wrong with it",
		Long:  checkLong,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load(cmd.Flags(), app.LimitMemory())
			if err != nil {
				return err
			}
			for _, w := range cfg.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "tether: warning: "+w)
			}
			if cmd.Flags().Changed("against") {
				return against.compare(cmd, cfg)
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
	against.addAs(cmd.Flags(), "against", "", "print what a reload would do to the tether whose admin listener is at `URL`")
	return cmd
}

// compare asks a running tether what a reload with cfg would do, and prints the answer. The sources of cfg are asked from here.
func (o *adminOptions) compare(cmd *cobra.Command, cfg *config.Config) error {
	specs, problems, err := app.Find(cmd.Context(), cfg)
	if err != nil {
		return app.UsageError{Err: fmt.Errorf("%w\n--against asks each source of discovery: from this machine, and compares nothing unless all of them answer", err)}
	}
	for _, p := range problems {
		fmt.Fprintln(cmd.ErrOrStderr(), "tether: warning: "+printable(p))
	}
	servers := []preview.Server{}
	for i := range specs {
		s := &specs[i]
		servers = append(servers, preview.Server{Name: s.Name, Address: s.Address, Ranks: s.Ranks, Slot: s.Slot, Weight: s.Weight, Models: s.Models})
	}
	var p admin.Previewed
	if err := o.call(cmd.Context(), postJSON("/api/preview", map[string]any{"upstreams": servers, "fixed": cfg.Fixed()}), &p); err != nil {
		return err
	}
	return printPreview(cmd.OutOrStdout(), &p)
}

func printPreview(out io.Writer, p *admin.Previewed) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")) }
	for _, group := range []struct {
		word  string
		names []string
		note  string
	}{
		{"added", p.Added, ""}, {"removed", p.Removed, ""}, {"replaced", p.Replaced, " (another address or other ranks: it begins without sessions)"},
	} {
		for _, name := range group.names {
			line(group.word, printable(name)+group.note)
		}
	}
	for _, r := range p.Reweighted {
		line("re-weighted", fmt.Sprintf("%s: %d to %d", printable(r.Name), r.From, r.To))
	}
	line("homes", fmt.Sprintf("%.1f %% move", 100*p.HomesMoved))
	line("sessions", fmt.Sprintf("%d of %d pinned ones move", p.SessionsMoved, p.Sessions))
	for _, key := range p.NeedRestart {
		line("needs a restart", printable(key))
	}
	if len(p.Slots) > 0 {
		line()
		line(fmt.Sprintf("With these slots %.1f %% of the homes move:", 100*p.HomesMovedWithSlots))
		for _, s := range p.Slots {
			line(fmt.Sprintf("  - name: %s", printable(s.Name)))
			line(fmt.Sprintf("    slot: %d", s.Slot))
		}
	}
	return w.Flush()
}
