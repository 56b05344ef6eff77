package cli

import (
	"os"

	"github.com/spf13/pflag"

	"tether/config"
)

// options are the flags of commands that load a configuration.
type options struct {
	file      string
	listen    string
	admin     string
	upstreams []string
	affinity  string
	logLevel  string
}

func (o *options) add(flags *pflag.FlagSet) {
	o.addFile(flags)
	flags.StringVar(&o.listen, "listen", ":8080", "address for clients")
	o.addAdmin(flags)
	flags.StringArrayVar(&o.upstreams, "upstream", nil, "`URL` of a vLLM server, http://HOST:PORT; repeat it for each server")
	flags.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&o.affinity, "affinity", "on", "on, or off: round robin, for comparison")
}

func (o *options) addFile(flags *pflag.FlagSet) {
	flags.StringVarP(&o.file, "config", "c", "", "read the configuration from `FILE` (YAML); default: $"+config.FileVariable)
}

func (o *options) addAdmin(flags *pflag.FlagSet) {
	flags.StringVar(&o.admin, "admin-listen", "127.0.0.1:8081", "address for operators")
}

// source returns the sources of the configuration: file, environment, and the flags that are set.
func (o *options) source(flags *pflag.FlagSet) config.Source {
	src := config.Source{File: o.file, Environ: os.Environ(), Upstreams: o.upstreams, Affinity: o.affinity}
	for _, f := range []struct{ name, path, value string }{
		{"listen", "listen", o.listen},
		{"admin-listen", "admin.listen", o.admin},
		{"log-level", "log.level", o.logLevel},
	} {
		if flags.Changed(f.name) {
			src.Flags = append(src.Flags, config.Flag{Name: "--" + f.name, Path: f.path, Value: f.value})
		}
	}
	return src
}

// load returns the configuration; memory is the process's memory limit in bytes.
func (o *options) load(flags *pflag.FlagSet, memory int64) (*config.Config, error) {
	src := o.source(flags)
	src.Memory = memory
	return config.Load(src)
}
