# An image of the command, and of the engine in a layer of its own that only another libtorch changes:
#
#   npm run pack -- tarballs
#   docker build --build-arg PLATFORM=linux-x64 -t rfdetr .
#   docker run --rm --init -v "$PWD:/work" rfdetr predict photos/ --weights runs/birds
#
# Behind a proxy that signs with a certificate of its own: --secret id=ca,src=ca.pem, which no layer keeps.
# Debian, since libtorch needs glibc. Neither a compiler nor Python is in it.
FROM node:22-bookworm-slim

# Whoever runs it may write there: docker run --user "$(id -u)".
RUN mkdir /app /work /cache && chown node:node /app && chmod 1777 /work /cache

USER node
WORKDIR /app
ENV RFDETR_HOME=/cache NODE_ENV=production
ARG PLATFORM=linux-x64
# Where the index of wheels is; empty for PyTorch's own.
ARG RFDETR_WHEEL_INDEX=

# The engine: npm's tarballs of @rfdetr/torch alone, so that a change of the detector keeps this layer.
COPY --chown=node:node tarballs/rfdetr-torch-${PLATFORM}-*.tgz tarballs/rfdetr-torch-[0-9]*.tgz /app/tarballs/
RUN --mount=type=secret,id=ca,mode=0444 \
    if [ -f /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi \
 && npm init --yes > /dev/null \
 && npm install --no-audit --no-fund --cache=/tmp/npm ./tarballs/*.tgz \
 && node node_modules/@rfdetr/torch/setup/main.mjs \
 && rm -r /tmp/npm

COPY --chown=node:node tarballs/rfdetr-amp-*.tgz tarballs/rfdetr-[0-9]*.tgz /app/tarballs/
RUN --mount=type=secret,id=ca,mode=0444 \
    if [ -f /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi \
 && npm install --no-audit --no-fund --cache=/tmp/npm ./tarballs/*.tgz \
 && rm -r /tmp/npm

WORKDIR /work
# npx would end at SIGTERM without passing it on: the program is started itself.
ENTRYPOINT ["node", "/app/node_modules/rfdetr/bin/rfdetr.mjs"]
CMD ["--help"]
