// Command openab is the stand-in for OpenAB's agent: as far as an operator can see it behaves like the real one.
// One binary serves under several names, as the links in its image call it:
//
//	openab run -c CONFIG       the agent (also as agent-broker, its former name)
//	openab-gateway             the gateway that stands beside an agent
//	standin-home --profile P   fills the home with files
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"openab-sop/world/openab/internal/agent"
	"openab-sop/world/openab/internal/gateway"
	"openab-sop/world/openab/internal/home"
)

func main() {
	name, arguments := filepath.Base(os.Args[0]), os.Args[1:]
	switch name {
	case "openab", "agent-broker", agent.RenamedProcess:
		os.Exit(agent.Main(name, arguments))
	case "openab-gateway":
		os.Exit(gateway.Main())
	case "standin-home":
		os.Exit(home.Main(arguments))
	}
	fmt.Fprintf(os.Stderr, "unknown name %q: call it openab, agent-broker, openab-gateway or standin-home\n", name)
	os.Exit(2)
}
