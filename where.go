package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"tether/admin"
	"tether/config"
	"tether/proxy"
	"tether/session"
	"tether/upstream"
)

// whereOptions are the flags of where.
type whereOptions struct {
	file      string
	admin     string
	tokenFile string
	model     string
	request   string
	json      bool
}

// question is what where is asked: about a request, or else about a session.
type question struct {
	id      string
	model   *string
	request []byte
}

const whereLong = `Say where a session's next request goes, and why: its home, its pin, the order in which the upstreams are looked
at, and what speaks against those that are skipped. With --request, the same of a captured request: a file with
the request line, the header fields, an empty line and the body; and which source gave the session's id, and why
the others did not.

A running tether is asked through its admin listener; with -c the answer is computed from the configuration alone,
with every upstream taken as up and no session pinned. Nothing is changed either way. The id is not printed, only
the prefix of its hash that stands for it in logs.

  tether where alice                        ask the tether on this host
  echo alice | tether where - --json        an id that shall not be in the shell's history
  tether where alice --model tiny -c FILE   where it is at home
  tether where --request turn.http          a request`

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
	flags.StringVarP(&o.file, "config", "c", "", "compute it from this configuration file (YAML), instead of asking")
	flags.StringVar(&o.admin, "admin", "http://127.0.0.1:8081", "URL of the admin listener to ask")
	flags.StringVar(&o.tokenFile, "token-file", "", "file with the token of the admin listener")
	flags.StringVar(&o.model, "model", "", "the session's model; default: all known ones")
	flags.StringVar(&o.request, "request", "", "file with a request, - for standard input")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

// question reads what is asked from the command line, files and standard input.
func (o *whereOptions) question(cmd *cobra.Command, args []string) (q question, err error) {
	given := cmd.Flags().Changed
	switch {
	case len(args) > 1:
		return q, usageError{errors.New("want one SESSION_ID: see tether where --help")}
	case len(args) == 0 && !given("request"):
		return q, usageError{errors.New("want a SESSION_ID, - to read it from standard input, or --request FILE.http")}
	case len(args) == 1 && given("request"):
		return q, usageError{errors.New("want a SESSION_ID or --request, not both")}
	case given("request") && given("model"):
		return q, usageError{errors.New("--model goes with a SESSION_ID: a request names its model")}
	case given("config") && (given("admin") || given("token-file")):
		return q, usageError{errors.New("-c computes the answer, --admin and --token-file ask for it: want one of them")}
	case given("config") && len(args) == 1 && !given("model"):
		return q, usageError{errors.New(`where a session is depends on the model, and -c knows none: add --model M, or --model "" for requests that name none`)}
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

// maxLine is more than any session id has.
const maxLine = 16 << 10

func readID(in io.Reader, arg string) (string, error) {
	id := []byte(arg)
	if arg == "-" {
		var err error
		if id, err = io.ReadAll(io.LimitReader(in, maxLine)); err != nil {
			return "", fmt.Errorf("standard input: %w", err)
		}
		for len(id) > 0 && (id[len(id)-1] == '\n' || id[len(id)-1] == '\r') {
			id = id[:len(id)-1]
		}
	}
	if !session.Valid(id) {
		return "", usageError{errors.New("this is no session id: want 1..256 bytes of visible ASCII")}
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
		return nil, usageError{fmt.Errorf("--request: %s: %w", file, bad.Err)}
	}
	return raw, err
}

// find asks the admin listener, or computes the answer.
func (o *whereOptions) find(cmd *cobra.Command, q question) (admin.Where, error) {
	if o.file == "" {
		return o.ask(cmd.Context(), q)
	}
	memory := limitMemory()
	cfg, err := config.Load(config.Source{File: o.file, Environ: os.Environ(), Memory: memory})
	if err != nil {
		return admin.Where{}, err
	}
	g, err := guideOf(cfg, memory)
	if err != nil {
		return admin.Where{}, err
	}
	var found admin.Where
	if q.request != nil {
		found = g.Request(q.request)
	} else if found, err = g.Session(q.id, q.model); err != nil {
		return found, usageError{err}
	}
	found.Note = "computed from the configuration: every upstream is taken as up, and no session as pinned"
	return found, nil
}

// guideOf makes a guide to what tether would do with the configuration.
func guideOf(cfg *config.Config, memory int64) (*admin.Guide, error) {
	secret, err := config.ReadSecret(cfg.Session.SecretFile)
	if err != nil {
		return nil, usageError{fmt.Errorf("session.secret_file: %w", err)}
	}
	identifier, err := session.NewIdentifier(&cfg.Session, &cfg.Models, secret)
	if err != nil {
		return nil, err
	}
	registry := upstream.NewRegistry(nil)
	if _, err := registry.Apply(cfg.Specs()); err != nil {
		return nil, err
	}
	for _, m := range registry.Table().Members {
		m.SetHealth(upstream.Up, "")
	}
	router := session.NewRouter(cfg.Session, session.NewMap(1000, cfg.Session.TTL), session.NewMap(1000, session.ResponsesTTL), true)
	if err := router.Use(registry.Table(), nil); err != nil {
		return nil, err
	}
	keys, err := openKeys(cfg)
	if err != nil {
		return nil, err
	}
	p, err := proxy.New(cfg.Proxy, proxy.Deps{
		Registry: registry, Router: router, Identifier: identifier, Keys: keys, MemoryLimit: memory, Log: zap.NewNop(),
	})
	if err != nil {
		return nil, err
	}
	return &admin.Guide{Router: router, Identifier: identifier, Read: p.Read}, nil
}
