// Asks a plugin server what Argo CD's repo-server asks it, through Argo CD's own client, and prints the answer as JSON.
//
//	argocd-cmp-client SOCKET check
//	argocd-cmp-client SOCKET generate|match|parameters REPOSITORY APP [NAME=VALUE...]
//
// REPOSITORY and APP are absolute paths of folders, the second in the first. It exits 1 with the server's error.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/argoproj/argo-cd/v3/cmpserver/apiclient"
	"github.com/argoproj/argo-cd/v3/util/cmp"
	"google.golang.org/protobuf/types/known/emptypb"
)

// More than the 60 seconds of the repo-server, so that the server's own limit is the one that is seen.
const limit = 90 * time.Second

func main() {
	answer, err := ask(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ask(args []string) (any, error) {
	if len(args) < 2 || (args[1] != "check" && len(args) < 4) {
		return nil, fmt.Errorf("usage: see the head of main.go")
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	connection, client, err := apiclient.NewConfigManagementPluginClientSet(args[0]).NewConfigManagementPluginClient()
	if err != nil {
		return nil, err
	}
	defer connection.Close()

	if args[1] == "check" {
		return client.CheckPluginConfiguration(ctx, &emptypb.Empty{})
	}
	repository, app, environment := args[2], args[3], args[4:]
	send := func(stream cmp.StreamSender) error {
		return cmp.SendRepoStream(ctx, app, repository, stream, environment, nil)
	}
	switch args[1] {
	case "generate":
		stream, err := client.GenerateManifest(ctx)
		if err != nil {
			return nil, err
		}
		if err := send(stream); err != nil {
			return nil, err
		}
		return stream.CloseAndRecv()
	case "match":
		stream, err := client.MatchRepository(ctx)
		if err != nil {
			return nil, err
		}
		if err := send(stream); err != nil {
			return nil, err
		}
		return stream.CloseAndRecv()
	case "parameters":
		stream, err := client.GetParametersAnnouncement(ctx)
		if err != nil {
			return nil, err
		}
		if err := send(stream); err != nil {
			return nil, err
		}
		return stream.CloseAndRecv()
	}
	return nil, fmt.Errorf("no such question: %s", args[1])
}
