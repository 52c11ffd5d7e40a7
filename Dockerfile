# Runs as any user and needs no writable file system:
#   docker build -t knell .
#   docker run knell                                             a notifier, with the settings of its environment
#   docker run -e PORT=7071 knell node dist/poller/main.js       a poller
#   docker run knell knell status                                the command

# The version of Node that the tests run on.
ARG NODE_VERSION=20

FROM node:${NODE_VERSION}-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY notifier ./notifier
COPY poller ./poller
COPY shared ./shared
RUN npm run build && chmod +x dist/shared/cli/knell.js

FROM node:${NODE_VERSION}-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The compiler comes along as an optional peer of a dependency; nothing here runs it.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/typescript node_modules/@typescript

FROM node:${NODE_VERSION}-bookworm-slim
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="knell" \
      org.opencontainers.image.description="Tells every service, within milliseconds, that a JWT has died." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
ENV NODE_ENV=production HOST=0.0.0.0 PORT=7070 NODE_OPTIONS=--enable-source-maps
WORKDIR /app
COPY package.json CHANGELOG.md LICENSE ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
RUN ln -s /app/dist/shared/cli/knell.js /usr/local/bin/knell
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 1000:1000
EXPOSE 7070 7071
# As the processes end in time by themselves: a container that is stopped gets 15 s, they take 10 at most.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "dist/shared/cli/health-check.js"]
CMD ["node", "dist/notifier/main.js"]
