import { Output, Services } from "~templates-utils";
import { Input } from "./meta";

export function generate(input: Input): Output {
  const services: Services = [];

  services.push({
    type: "app",
    data: {
      serviceName: input.appServiceName,
      source: {
        type: "image",
        image: input.appServiceImage,
      },
      env: [
        `EDGE_BASE_URL=${input.edgeBaseUrl}`,
        `WORKER_SECRET=${input.workerSecret}`,
      ].join("\n"),
      deploy: {
        replicas: 1,
        zeroDowntime: true,
        command: null,
      },
      mounts: [
        {
          type: "volume",
          name: "data",
          mountPath: "/data",
        },
      ],
    },
  });

  return { services };
}
