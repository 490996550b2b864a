// Package gateway is the stand-in for the webhook gateway: a companion of the agent that only has to be healthy.
package gateway

import (
	"context"
	"errors"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"openab-sop/world/openab/internal/release"
	"openab-sop/world/openab/internal/tracelog"
)

const address = ":8080"

// panicking is the one misbehaviour that a gateway knows, as the release file names it.
const panicking = "panics-at-start"

// Main serves /health until SIGTERM and returns the exit status of the process.
func Main() int {
	log := tracelog.New("openab_gateway")
	if plays, err := release.Load(release.Path); err == nil && plays.Fault == panicking {
		log.Raw("thread 'main' panicked at src/main.rs:44:9:\nno adapter is configured")
		return 101
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(answer http.ResponseWriter, _ *http.Request) { _, _ = answer.Write([]byte("ok\n")) })
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	log.Info("gateway listening", "address", address)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Error(err.Error())
		return 1
	}
	log.Info("gateway shut down")
	return 0
}
