"""Small JPEG files, 24 rows of 20 pixels of smooth colours, as Pillow wrote them."""

import base64

_TEXTS = {
    "baseline": (
        "|JeWF01!$>Nk#wx0RR9200961|JwjV00jdC1Ox*G1Ox;H1qB8N3<w7Y2L}%e3keJn4-yg)4-pX)791B76dDx~5f~vD8XX-UA0HDJ"
        "A|xUnBpe<e9{<|_LjeT^1qTKP4hRSi9uyH29v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v=U|"
        "01*fP7yuLl0U`hb5di}c0sq7R9{>OW1pxs80RaI300000000010s{mE1_uZU3Jd?l0JRVR0s#X90t5pE1q1{D00Dgg0s{a95d{(<"
        "F+m0sQDFxnaTGFvk)a49Lb1UWQqk}vGh%Xr2?`b$7#SKRCMPH<Dl|1VH#j*uLqtVJM@UIZQ&d$}S6EqEV`OD!XJ~0^b98lfcX)Yv"
        "gM@{Khlq)al9QB`mY0~BnxdnmrKYE-sj9NGw6(UkxVgH*!^FkL$H>Xb($mz{*4NnC+Tr5k<mKk)=;`Y5^7Hid_V@Vt`v1fL9{~UZ"
        "0RaI40RaI40RR91000010s{mE1_uZU3Jd?l0JRYS0s#U91Oo&I1q1{D0Rndb0RjUN1O*{61`<J02Vrp&A~Jyp6he`qvB3!=Gg9ys"
        "Vsg<679=#`CGi&+85$-hC@Cs6Ha9pqIzvQ7Mn_0VN>fx-R##YAT4Q8oW@l(=YIAgTc6WGrdV+(5g@%WSiHeewl$Dm3n3<ZQqok##"
        "r>Lo_va__cwzs&sy28W6#m2|T$;#5x)YaD4*xB0R<K*S$=jiF`^7Hid_V@Vt`v2Mh3<CiG0ucid06zfsO)l0sVH^&XL&Q2#7+VTD"
        "Q*;egJf#JNXlfU6%@G+D`OY6At4g-Vp^L37l9rlS@%>*){{T*WEfv>l7RvW5*y}}o<tz-87Kg>pkLINP<CU=2OdtaIt($KV2>=`a"
        "09q)o($-Ohdh(xP;zp2_i>Y|BF6@qIqKZGW=q`uzMAy9aKmXY"
    ),
    "progressive": (
        "|JeWF01!$>Nk#wx0RR9200961|JwjV00jdC1Ox*G1Ox;H1qB8N3<w7Y2L}%e3keJn4-yg)4-pX)791B76dDx~5f~vD8XX-UA0HDJ"
        "A|xUnBpe<e9{<|_LjeT^1qTKP4hRSi9uyH29v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v=U~"
        "01*fP7yuLl0TBQK5di}c0sq7R7XSbQ0RR910000000000000C91_S@Z02u)Q0s{d60000000000000041^@yD2mjgt3<CiG0uTcb"
        "00059Nx0>oExbKIhLLr&+KcM8I+3vhYbt;L!~h%+00IF80RR9100000000000RsX61Q8)3693u&2mt{A0R;k7K^F?sRoWY-ND#>N"
        "2jZh~n)jOj!~h);009I80RaF20000000000009F85dsAg6e0iG00;pC0RcY&j^78XgfiIu9%qCmJ;|KavT{-zB{RD}|HJ?s5dZ=L"
        "0s{a50000000000000955d;(gAtL|U00;pB0RcY&<y0af<K&(gyjmcxjT<x#T0j5902B}b0000000000000000000m|Jncu0RaF8"
        "KLQ{B!~hu(00RL50RR91000000000000AKpQ4s&y00;pA00BQC5{<&xD;LEfvpY_qB5D8H01N{G00IC50000GTI=fn0RO}Q8W8{k"
        "00RL40000000000000015fC9ULI2tS2mu2D0Y4CGi_k}`1MH)*OoOX~)c?c)8W8~j0RRI50000000000000315g{=_QUBTi2mt~C"
        "0Y4CBK9?G8>SffyC*c_K7Yx7u!~hu(0RaI40RaF200000000000RRy(A+i7300;pA00BP`1>wo~4qVxuM5NNioty)hfPLP;dw>7g"
    ),
    "grey": (
        "|JeWF01!$>Nk#wx0RR9200961|JwjV00smF1_cBL1_cHO2L=cV5DE$j2?`Vr4-60&6c`v66c!d59VH(c8zUSR79cDjBPJ&)Dk&Ks"
        "Eif%8FeNA{DF46!3kU!h02BcM5di<h03QGV0R;g80RaI400000000000RjUA1qKHQ2?`7U!~nGr00IF60|EpC1qB2I0004f0RjU6"
        "1Q7)iAu&M)6H#FYB5@QlfsvsIBSNvk6;jdgBr{@if(Z&17Z@2DB_<~*DJnEIHa9pqIzvQ7Mn_0VN>fx-R##YAT4Q8oW@l(=YIAgT"
        "c6WGrdV_?8hKGoWijtF*m6n&7nVO=bq@|{(sHv*5v$VCgx45~w!o$SH#>dFX%F@%+)z;V8+1laa<K*S$=jiF`@$&QZ_4fDp`TGCb"
        "00;pA002J#^*al6k|DsVdd{AvHo&hs)O7FkrsBO1NYq!$0Ghjba*{@Qu2%8@^RdNqwtBgU0lKvz*2Ca#t7~+wH)g;8*#"
    ),
    "cmyk": (
        "|JeWT01iQ9Z(?NtWB>pF0095n07C!;0|W#F0|f*G1O){J1_ulX2L}fS4+{$k3=t0!5)ls(5fc_17ZVg36%i2_As8AR9UmVb6Bi;R"
        "A|50h9v>e6zyK5o02lxi1Va%3O%VWD5dcdO0RO}Q9{>OW1pxs80RaI300000000010s{mE1_uZU3Jd?l0JRVR0s#X90t5pE1q1{D"
        "00Dgg0s{a95d{(<F+m0sQDFxnaTGFvk)a49Lb1UWQqk}vGh%Xr2?`b$7#SKRCMPH<Dl|1VH#j*uLqtVJM@UIZQ&d$}S6EqEV`OD!"
        "XJ~0^b98lfcX)YvgM@{Khlq)al9QB`mY0~BnxdnmrKYE-sj9NGw6(UkxVgH*!^FkL$H>Xb($mz{*4NnC+Tr5k<mKk)=;`Y5^7Hid"
        "_V@Vt`v2Mh4g^C0O#oQ{O8@{r0QSEF=&NmPgr+b(E9g{sZz1e*E6Hs9Khxy>E9|=6*YDEK(S|_4u1m#!8;;^PApy^|Y}xpKr^)(J"
        "UNPbi6alJ81fQ*W9<Siv^ykE1rE5ju{{WDDpQRP<N)pP?u)wcI@NbHeWI$vG@vf@R!~H%_(u(rWiC!aEVv$4Rk6QE_Ylv?l9D|Wt"
        "R(>Dp@_v+8&RX|~*|j+jnflgk=7$usm)JS2SiC>-50mtwzP|CUvX-{a0|9|wD0nl)ZwsI@5%||vXW{;zC+S6e%ke+NrQSsndiSq$"
        "@K=i#RX}9@Yi7^G{XS39it$_9*(JGW&r@EJYpO#m3j2pOtrv&>LGpf-SO3`"
    ),
    "rotated": (
        "|JeWF01!$>Nk#wx0RR9200961|KR{4MR;ju002!*04e|g00;m90TKWM0000100sa600000|JwjV00smF1_cBL1_cHO2L=cV5DE$j"
        "2?`Vr4-60&6c`v66c!d59VH(c8zUSR79cDjBPJ&)Dk&KsEif%8FeNA{DF534LjeZ|2MP!Z6AB6wC>j<TC@3f>C@3f>C@3f>C@3f>"
        "C@3f>C@3f>C@3f>C@3f>C@3f>C@3f>C@3f>C@3f>C@BBH01*fP7yuLl0U-ba5di}c0sq7R9{>OW1pxs80RaI300000000010s{mE"
        "1_uZU3Jd?l0JRVR0s#X90t5pE1q1{D00Dgg0s{a95d{(<F+m0sQDFxnaTGFvk)a49Lb1UWQqk}vGh%Xr2?`b$7#SKRCMPH<Dl|1V"
        "H#j*uLqtVJM@UIZQ&d$}S6EqEV`OD!XJ~0^b98lfcX)YvgM@{Khlq)al9QB`mY0~BnxdnmrKYE-sj9NGw6(UkxVgH*!^FkL$H>Xb"
        "($mz{*4NnC+Tr5k<mKk)=;`Y5^7Hid_V@Vt`v1fL9{~UZ0RaI40RaI40RR91000010s{mE1_uZU3Jd?l0JRYS0s#U91Oo&I1q1{D"
        "0Rndb0RjUN1O*{61`<J02Vrp&A~Jyp6he`qvB3!=Gg9ysVsg<679=#`CGi&+85$-hC@Cs6Ha9pqIzvQ7Mn_0VN>fx-R##YAT4Q8o"
        "W@l(=YIAgTc6WGrdV+(5g@%WSiHeewl$Dm3n3<ZQqok##r>Lo_va__cwzs&sy28W6#m2|T$;#5x)YaD4*xB0R<K*S$=jiF`^7Hid"
        "_V@Vt`v2Mh3<CiG0ucid06zfrI}3D@A;7A7&Yq?=z^~4*)SPM^_&T3erg_$*r+=k46j$2Qhq{F<=UvZ3(lr(Gz$UKVT%?hnYtN1W"
        "#-;3Io`17JoUP;m=VOX1=wU+9N9MB3pEK0wZ1r;x19fUct%tzfUqStscY7bDai6;vV%ps+joG5K`in>6b8_Zq|Je"
    ),
    "restarts": (
        "|JeWF01!$>Nk#wx0RR9200961|JwjV00jdC1Ox*G1Ox;H1qB8N3<w7Y2L}%e3keJn4-yg)4-pX)791B76dDx~5f~vD8XX-UA0HDJ"
        "A|xUnBpe<e9{<|_LjeT^1qTKP4hRSi9uyH29v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v&VZ9v=U|"
        "01*fP7yuLl0U`hb5di}c0sq7R9{>OW1pxs80RaI300000000010s{mE1_uZU3Jd?l0JRVR0s#X90t5pE1q1{D00Dgg0s{a95d{(<"
        "F+m0sQDFxnaTGFvk)a49Lb1UWQqk}vGh%Xr2?`b$7#SKRCMPH<Dl|1VH#j*uLqtVJM@UIZQ&d$}S6EqEV`OD!XJ~0^b98lfcX)Yv"
        "gM@{Khlq)al9QB`mY0~BnxdnmrKYE-sj9NGw6(UkxVgH*!^FkL$H>Xb($mz{*4NnC+Tr5k<mKk)=;`Y5^7Hid_V@Vt`v1fL9{~UZ"
        "0RaI40RaI40RR91000010s{mE1_uZU3Jd?l0JRYS0s#U91Oo&I1q1{D0Rndb0RjUN1O*{61`<J02Vrp&A~Jyp6he`qvB3!=Gg9ys"
        "Vsg<679=#`CGi&+85$-hC@Cs6Ha9pqIzvQ7Mn_0VN>fx-R##YAT4Q8oW@l(=YIAgTc6WGrdV+(5g@%WSiHeewl$Dm3n3<ZQqok##"
        "r>Lo_va__cwzs&sy28W6#m2|T$;#5x)YaD4*xB0R<K*S$=jiF`^7Hid_V@Vt`v2Vk1ONg5+5ij#0RRFK0}%i}0QOBT);VDu4wXa1"
        "I#L*03OZAC4OKj)1%+s87jexI85Q}?A0n$tw#T81tt^t3nppqPey^o}r#=>n>$MAIdzNf<qPb~cWT3P@ZhU_=C+{Es(VoLyFn|l<"
        "wr#vbBmi&yXrjMCSw<D>%652>q$Okj((6+3WL?=D(M1*d5B7Zp(EfCq_nxQ!*#"
    ),
}
# Baseline with halved colours; progressive; grey; four inks; with the note that the camera was turned; with restarts.
JPEG_FILES = {name: base64.b85decode(text) for name, text in _TEXTS.items()}
