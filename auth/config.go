package auth

// Config is the auth part of the configuration.
type Config struct {
	// KeysFile holds the names and hashes of the API keys that clients need, see Open. If empty, clients need no key.
	KeysFile string `yaml:"keys_file"`
}
