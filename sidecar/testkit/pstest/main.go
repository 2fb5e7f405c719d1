// The Pub/Sub that outrigger's tests run against: Google's in-memory server (pstest) behind one port that speaks gRPC
// and the part of the REST API that clients' admin calls use.
//
// It prints "ready PORT" once it takes clients, listens on 127.0.0.1 only, and ends when its standard input does.
// Beside Google's API there is one for tests, in JSON over HTTP (see control.go): publish by Google's own Go client,
// see what was delivered and acknowledged, make calls fail.
//
// With -fake it is a server of our own instead (see fake.go), for what pstest lacks: redelivery of the tail of an
// ordering key, the server's flow control, stale acknowledgements that an exactly-once subscription refuses.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"cloud.google.com/go/pubsub/v2"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// What both servers are.
type server interface {
	pb.PublisherServer
	pb.SubscriberServer
}

func main() {
	port := flag.Int("port", 0, "where to listen; 0 is any free port")
	isFake := flag.Bool("fake", false, "the server of our own instead of pstest")
	flag.Parse()

	inner, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	outer, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	check(err)

	control := &control{faults: &faults{}}
	var behind server
	if *isFake {
		fake := newFake()
		behind, control.fake = fake, fake
	} else {
		control.pstest = pstest.NewServerWithAddress("127.0.0.1:0")
		behind = &control.pstest.GServer
	}
	// Tests publish by a port of their own, where no call is made to fail.
	unharmed := grpc.NewServer()
	register(unharmed, behind)
	go func() { check(unharmed.Serve(inner)) }()
	control.connection, err = grpc.NewClient(inner.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	control.client, err = pubsub.NewClient(context.Background(), "test", option.WithGRPCConn(control.connection))
	check(err)

	guarded := grpc.NewServer(
		grpc.UnaryInterceptor(control.faults.unary), grpc.StreamInterceptor(control.faults.stream),
		grpc.MaxRecvMsgSize(32<<20))
	register(guarded, behind)
	grpcSide, httpSide := split(outer)
	go func() { check(guarded.Serve(grpcSide)) }()
	go func() { check(http.Serve(httpSide, control.routes())) }()

	fmt.Printf("ready %d\n", outer.Addr().(*net.TCPAddr).Port)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func register(to *grpc.Server, behind server) {
	pb.RegisterPublisherServer(to, behind)
	pb.RegisterSubscriberServer(to, behind)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
