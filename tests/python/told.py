"""What an SDK's httpx client is told by hooks: `asked` has every request that it has sent, and `on_429`
what is done once at the next 429."""

asked = []
on_429 = []


def count(request):
    asked.append(request)


def react(response):
    if response.status_code == 429 and on_429:
        on_429.pop()()


hooks = {"request": [count], "response": [react]}
