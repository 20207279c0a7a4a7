"""The routes of the replay; each endpoint is a method of `helpers.replay.app.Api`."""

from werkzeug.routing import Map, Rule

ROUTES = Map([
    Rule("/v1/chat/completions", endpoint="chat", methods=["POST"]),
    Rule("/v1/files", endpoint="upload", methods=["POST"]),
    Rule("/v1/files", endpoint="files", methods=["GET"]),
    Rule("/v1/files/<id>", endpoint="file", methods=["GET"]),
    Rule("/v1/files/<id>", endpoint="delete_file", methods=["DELETE"]),
    Rule("/v1/files/<id>/content", endpoint="content", methods=["GET"]),
    Rule("/v1/batches", endpoint="create_batch", methods=["POST"]),
    Rule("/v1/batches", endpoint="batches", methods=["GET"]),
    Rule("/v1/batches/<id>", endpoint="batch", methods=["GET"]),
    Rule("/v1/batches/<id>/cancel", endpoint="cancel_batch", methods=["POST"]),
    Rule("/v1/models", endpoint="models", methods=["GET"]),
    Rule("/v1/models/<id>", endpoint="model", methods=["GET"]),
    Rule("/v1/models/<path:id>", endpoint="model", methods=["GET"]),
    Rule("/v1/replay", endpoint="script", methods=["GET"]),
    Rule("/v1/replay", endpoint="new_script", methods=["PUT"]),
])  # fmt: skip
