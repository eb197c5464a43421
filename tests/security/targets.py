"""Where nobody may make deskbell connect to, in the ways in which people have tried.

The addresses are those of the registries that ``deskbell.egress`` names; the notations are those of the test tables of
Smokescreen (https://github.com/stripe/smokescreen) and Svix (https://github.com/svix/svix-webhooks), and of what URL
parsers are known to differ about.
"""

from __future__ import annotations


def listed(table: str) -> list[str]:
    """Its words."""
    return table.split()


ADDRESSES = listed("""
0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.0.0.53 127.255.255.254
169.254.169.254 169.254.170.2 169.254.0.1 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.8 192.0.0.170 192.0.0.192
192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1
239.255.255.250 240.0.0.1 255.255.255.255 168.63.129.16
""")

ADDRESSES_6 = listed("""
:: ::1 ::2 0:0:0:0:0:0:0:1 0000:0000:0000:0000:0000:0000:0000:0001 ::127.0.0.1 ::7f00:1 ::169.254.169.254
::ffff:127.0.0.1 ::ffff:7f00:1 ::FFFF:A9FE:A9FE 0:0:0:0:0:ffff:10.0.0.1 ::ffff:0.0.0.0 ::ffff:192.168.0.1
::ffff:168.63.129.16 ::ffff:0:127.0.0.1 ::ffff:0:a9fe:a9fe 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::808:808
64:ff9b:1::1 100::1 2001::1 2001:0:4136:e378:8000:63bf:80ff:fffe 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
2002:7f00:1:: 2002:7f00:0001::1 2002:a9fe:a9fe::1 2002:c0a8:1::1 2002:808:808::1 3fff::1 3fff:fff:ffff::1 4000::1
5f00::1 fc00::1 fd00::1 fd00:ec2::254 fdff:ffff::1 fe80::1 febf::1 fec0::1 feff::1 ff01::1 ff02::1 ff05::2 ff0e::1
""")

HOSTS = listed("""
localhost LOCALHOST localhost. 127.0.0.1. 2130706433 0x7f000001 0x7f.0.0.1 0x7F.0x0.0x0.0x1 017700000001 0177.0.0.1
0177.0.0.01 127.1 127.0.1 0 00 0x0 127.0.0.001 127.000.000.001 0000127.0.0.1 0127.0.0.1 127.0.0.1.0x0 3232235521
0xa9fea9fe 2852039166 0251.0376.0251.0376 169.254.43518 0xA9.0xFE.0xA9.0xFE 169.0xfe.0251.254 10.1 192.168.1 4294967295
4294967296 256.256.256.256 127.0.0.1.. 127..0.0.1 .127.0.0.1 127%2e0%2e0%2e1 %31%32%37.0.0.1 %6c%6f%63%61%6c%68%6f%73%74
127.0.0.1%00.example.com 127.0.0.1%20 127.0.0.1%2f 127.0.0.1%23 127.0.0.1%09
①②⑦.⓪.⓪.① １２７.０.０.１ 127。0。0。1 127．0．0．1 127｡0｡0｡1 ⓛⓞⓒⓐⓛⓗⓞⓢⓣ ｌｏｃａｌｈｏｓｔ locaⅼhost loc\u00adalhost
١٢٧.٠.٠.١ 𝟏𝟐𝟕.𝟎.𝟎.𝟏 𝟣𝟨𝟫.𝟤𝟧𝟦.𝟣𝟨𝟫.𝟤𝟧𝟦 [::1%25lo] [::1%lo] [fe80::1%25lo] [fe80::1%lo] [fe80::1%251] [::ffff:127.0.0.1%lo]
[127.0.0.1] [::1 ::1] [:: [::1]. [::1]x [0x7f000001] [::ffff:0x7f.0.0.1] [v1.127.0.0.1] [①::1] [::①]
x@127.0.0.1 x:y@127.0.0.1 8.8.8.8@127.0.0.1 8.8.8.8:80@127.0.0.1 8.8.8.8%40127.0.0.1 127.0.0.1@ x@[::1] x@y@127.0.0.1
public.example#@127.0.0.1 8.8.8.8%23@127.0.0.1 8.8.8.8\\@127.0.0.1 127.0.0.1\\.example.com 8.8.8.8%5c@127.0.0.1
public.example@127.0.0.1 127.0.0.1?@public.example 127.0.0.1#.public.example 127.0.0.1;public.example
""")
"""Between the scheme and the path of a URL."""

NAMES = listed("""
inside.example link-local.example metadata.example cgnat.example nat64.example mapped.example six.example alias.example
chain.example several.example both.example in-hosts vm.internal sub.localhost 127.0.0.1.nip.example
XN--INSIDE-.example inside.example. INSIDE.EXAMPLE
""")
"""Which the name server of ``world`` leads inside."""

PORTS = listed("""
127.0.0.1:0 127.0.0.1:22 127.0.0.1:25 127.0.0.1:53 127.0.0.1:443 127.0.0.1:6379 127.0.0.1:8080 127.0.0.1:9200 [::1]:22
[::1]:6379 10.0.0.1:5432 169.254.169.254:80 localhost:6379 127.0.0.1:080 127.0.0.1: 127.0.0.1:65536 127.0.0.1:-1
127.0.0.1:８０ 127.0.0.1:+80 127.0.0.1:80:80 inside.example:6379 both.example:22
""")

OTHER_SCHEMES = listed("""
file:///etc/passwd file://127.0.0.1/etc/passwd file:/etc/passwd FILE:///etc/passwd gopher://127.0.0.1:6379/_PING
unix:/var/run/docker.sock unix:///var/run/docker.sock http+unix://%2Fvar%2Frun%2Fdocker.sock/info
ftp://127.0.0.1/x sftp://127.0.0.1/ dict://127.0.0.1:6379/info ldap://127.0.0.1/ ldaps://127.0.0.1/ tftp://127.0.0.1/x
jar:http://127.0.0.1!/x data:text/plain,x javascript:alert(1) about:blank netdoc:///etc/passwd telnet://127.0.0.1
ssh://127.0.0.1 smb://127.0.0.1/c$ ws://127.0.0.1/ wss://127.0.0.1/ tcp://127.0.0.1:22/ udp://127.0.0.1:53/ mailto:x@y
//127.0.0.1/ ///127.0.0.1/ /etc/passwd http:127.0.0.1 http:/127.0.0.1/ http:///127.0.0.1/ http:\\127.0.0.1\\
\\127.0.0.1\\c$ https:127.0.0.1 127.0.0.1 localhost:80 HTTP://127.0.0.1/ hTtP://127.0.0.1/ httpx://127.0.0.1/ view-source:http://127.0.0.1
""")


def targets() -> list[str]:
    """Each as a whole URL, once."""
    bracketed = [f"[{address}]" for address in ADDRESSES_6]
    hosts = [*ADDRESSES, *bracketed, *HOSTS, *NAMES, *PORTS]
    urls = [f"http://{host}/hook" for host in hosts]
    over_tls = [
        f"https://{host}/hook" for host in ("127.0.0.1", "[::1]", "inside.example", "169.254.169.254")
    ]
    return list(dict.fromkeys([*urls, *over_tls, *OTHER_SCHEMES]))
