package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"tether/admin"
	"tether/admin/client"
	"tether/app"
	"tether/config"
	"tether/session/identity"
)

type whereOptions struct {
	file    string
	admin   adminOptions
	model   string
	request string
	json    bool
}

// question is about a request, or else about a session.
type question struct {
	id      string
	model   *string
	request []byte
}

const whereLong = `Say where a session's next request goes, and why: its home, its pin, the order in which upstreams are considered,
and why some are skipped. With --request, say the same of a captured request: a file with the request line, the
header fields, an empty line and the body. The answer then also says which source gave the session's id, and why
the others did not.

The command asks a running tether through its admin listener. With -c, it computes the answer from the
configuration alone, as if every upstream were up and no session pinned. Neither changes anything. The answer never
shows the id, only the prefix of its hash that stands for it in logs.

  tether where alice                        ask the tether on this host
  echo alice | tether where - --json        keep the id out of the shell's history
  tether where alice --model tiny -c FILE   compute its home
  tether where --request turn.http          a captured request`

func whereCommand() *cobra.Command {
	var o whereOptions
	cmd := &cobra.Command{
		Use:   "where {SESSION_ID | - | --request FILE.http}",
		Short: "say where a session's requests go, and why",
		Long:  whereLong,
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := o.question(cmd, args)
			if err != nil {
				return err
			}
			found, err := o.find(cmd, q)
			if err != nil {
				return err
			}
			return o.print(cmd.OutOrStdout(), found)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "config", "c", "", "compute the answer from the configuration in `FILE` (YAML)")
	o.admin.add(flags)
	o.admin.hint = ", -c FILE computes the answer without one"
	flags.StringVar(&o.model, "model", "", "the session's model; default: all known models")
	flags.StringVar(&o.request, "request", "", "read a captured request from `FILE`, - for standard input")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

// question reads the question from the command line, files and standard input.
func (o *whereOptions) question(cmd *cobra.Command, args []string) (q question, err error) {
	given := cmd.Flags().Changed
	switch {
	case len(args) > 1:
		return q, usageError("want one SESSION_ID: see tether where --help")
	case len(args) == 0 && !given("request"):
		return q, usageError("want a SESSION_ID, - to read it from standard input, or --request FILE.http")
	case len(args) == 1 && given("request"):
		return q, usageError("want a SESSION_ID or --request, not both")
	case given("request") && given("model"):
		return q, usageError("--model goes with a SESSION_ID: a request names its model")
	case given("config") && (given("admin") || given("token-file")):
		return q, usageError("-c computes the answer, --admin and --token-file ask for it: want one of them")
	case given("config") && len(args) == 1 && !given("model"):
		return q, usageError(`the place of a session depends on the model, and -c knows no models: add --model M, or --model "" for requests that name none`)
	}
	if given("model") {
		q.model = &o.model
	}
	if given("request") {
		q.request, err = readRequest(cmd.InOrStdin(), o.request)
		return q, err
	}
	q.id, err = readID(cmd.InOrStdin(), args[0])
	return q, err
}

// maxLine is more than the longest session id, in bytes.
const maxLine = 16 << 10

func readID(in io.Reader, arg string) (string, error) {
	id := []byte(arg)
	if arg == "-" {
		var err error
		if id, err = io.ReadAll(io.LimitReader(in, maxLine)); err != nil {
			return "", fmt.Errorf("standard input: %w", err)
		}
		id = bytes.TrimRight(id, "\r\n")
	}
	if !identity.Valid(id) {
		return "", usageError("this is no session id: want 1..256 bytes of visible ASCII")
	}
	return string(id), nil
}

func readRequest(in io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(in)
	}
	raw, err := os.ReadFile(file)
	var bad *fs.PathError
	if errors.As(err, &bad) {
		return nil, usageError("--request: %s: %w", file, bad.Err)
	}
	return raw, err
}

// find asks the admin listener, or computes the answer.
func (o *whereOptions) find(cmd *cobra.Command, q question) (admin.Where, error) {
	if o.file == "" {
		return o.ask(cmd.Context(), q)
	}
	return o.compute(q)
}

// compute answers the question from the configuration alone.
func (o *whereOptions) compute(q question) (found admin.Where, err error) {
	memory := app.LimitMemory()
	cfg, err := config.Load(config.Source{File: o.file, Environ: os.Environ(), Memory: memory})
	if err != nil {
		return found, err
	}
	g, err := app.Guide(cfg, memory)
	if err != nil {
		return found, err
	}
	if q.request != nil {
		found = g.Request(q.request)
	} else if found, err = g.Session(q.id, q.model); err != nil {
		return found, app.UsageError{Err: err}
	}
	found.Note = "computed from the configuration: every upstream is taken as up, and no session as pinned"
	return found, nil
}

func (o *whereOptions) ask(ctx context.Context, q question) (found admin.Where, err error) {
	err = o.admin.call(ctx, questionOf(q), &found)
	return found, err
}

func questionOf(q question) client.Request {
	if q.request != nil {
		return client.Request{Method: http.MethodPost, Path: "/api/where/request", ContentType: "application/http", Body: bytes.NewReader(q.request)}
	}
	return postJSON("/api/where", map[string]any{"id": q.id, "model": q.model})
}
