package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tether/admin/client"
	"tether/app"
	"tether/config"
)

// adminOptions are the flags of commands that ask a running tether through its admin listener.
type adminOptions struct {
	flag      string // that sets url, without its dashes
	hint      string // what else the user can do if no tether answers
	url       string
	tokenFile string
}

func (o *adminOptions) add(flags *pflag.FlagSet) {
	o.addAs(flags, "admin", "http://127.0.0.1:8081", "ask the admin listener at `URL`")
}

// addAs is add with another flag for the URL.
func (o *adminOptions) addAs(flags *pflag.FlagSet, flag, url, usage string) {
	o.flag = flag
	flags.StringVar(&o.url, flag, url, usage)
	flags.StringVar(&o.tokenFile, "token-file", "", "read the token of the admin listener from `FILE`")
}

// askTime is how long the admin listener may take to answer.
const askTime = 30 * time.Second

// postJSON is a request with a body in JSON.
func postJSON(path string, body any) client.Request {
	text, err := json.Marshal(body)
	if err != nil {
		panic("BUG: no JSON for " + path)
	}
	return client.Request{Method: http.MethodPost, Path: path, ContentType: "application/json", Body: bytes.NewReader(text)}
}

// call sends a request to the admin listener and decodes the answer. The error says what the user can do.
func (o *adminOptions) call(ctx context.Context, r client.Request, into any) error {
	base, err := url.Parse(o.url)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil {
		return usageError("--%s: want http://HOST:PORT", o.flag)
	}
	token, err := config.ReadSecret(o.tokenFile)
	if err != nil {
		return usageError("--token-file: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	status, text, err := client.New(base, string(token)).Do(ctx, r)
	if err != nil {
		return fmt.Errorf("%w: is tether running there? --%s URL asks another%s", err, o.flag, o.hint)
	}
	if status != http.StatusOK {
		return o.refusal(base.Host, status, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s did not answer as tether does: does --%s name its admin listener?", base.Host, o.flag)
	}
	return nil
}

// refusal returns the error that tells the user what an answer other than 200 means.
func (o *adminOptions) refusal(host string, status int, text []byte) error {
	if status == http.StatusUnauthorized {
		return usageError("%s wants its token: --token-file FILE with the one of its admin.token_file", host)
	}
	var answer struct {
		Error struct{ Message string }
	}
	if json.Unmarshal(text, &answer) != nil || answer.Error.Message == "" {
		return fmt.Errorf("%s answered %d: does --%s name tether's admin listener?", host, status, o.flag)
	}
	lines := strings.Split(answer.Error.Message, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	err := fmt.Errorf("%s: %s", host, strings.Join(lines, "\n"))
	if status == http.StatusBadRequest {
		return app.UsageError{Err: err}
	}
	return err
}
